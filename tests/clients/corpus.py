"""The queries and passages of all client tests, shared by the tests and the drivers, which run in different environments."""

QUERY = "How do honey bees find the way back to their hive?"

# Of different lengths, from one word to several sentences, in no order.
PASSAGES = [
    "The bakery on the corner opens at six.",
    "Foraging bees remember landmarks and steer by the sun, whose position they can tell from polarised light even when clouds cover it.",
    "A hive holds between twenty and sixty thousand workers in summer, most of which never leave it during their first three weeks.",
    "A waggle dance tells the other bees in which direction and how far away a field of flowers lies.",
    "Flight.",
    "Homing pigeons are thought to use the earth's magnetic field. Whether honey bees do so, too, is disputed; they were trained to notice "
    "magnetic anomalies, but displaced bees fly home along routes which they have seen before.",
]

# The second has far more than 512 tokens, and its start answers the query.
PASSAGES_WITH_A_LONG_ONE = [PASSAGES[0], PASSAGES[1] + " They fly out and come back, over and over again." * 100, PASSAGES[4]]

# One more than the limit of a request. Short, since every client that batches ranks all of them.
SHORT_QUERY = "bees"
MANY_PASSAGES = [f"bee {number}" for number in range(513)]

UNKNOWN_MODEL = "unknown/model"
