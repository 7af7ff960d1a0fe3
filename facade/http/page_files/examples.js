// Three examples to begin with. The first is a trap for a search that matches words: most passages have the query's words in another meaning.

export const EXAMPLES = [
  {
    name: "Pythons",
    about: "a trap of words",
    query: "How long do pythons live?",
    passages: [
      "How long a Python program runs depends on the size of its input and on how often its loops repeat.",
      "Python 2 had a long life: its last release came out in April 2020.",
      "Monty Python performed live in London for ten nights, and the show was not long enough for the fans.",
      "The snakes are found in Africa, Asia and Australia.",
      "Ball pythons live for 20 to 30 years in captivity, and some individuals have passed 40.",
      "In the wild their lifespan is shorter, about ten years, because of predators and disease.",
    ],
  },
  {
    name: "Git",
    about: "software docs",
    query: "How do I undo the last commit but keep my changes?",
    passages: [
      "git push sends your branch to the server, where others can fetch it.",
      "git reset --hard HEAD~1 removes the last commit and throws your changes away.",
      "git commit --amend replaces the message of the last commit.",
      "git revert makes a new commit that reverses an old one.",
      "To undo the last commit and keep your changes in the working tree, run git reset --soft HEAD~1.",
    ],
  },
  {
    name: "Medicine",
    about: "health advice",
    query: "Can I take ibuprofen if I have high blood pressure?",
    passages: [
      "Ibuprofen was developed in the 1960s by the research arm of Boots.",
      "High blood pressure is measured with a cuff around the upper arm.",
      "Paracetamol is usually the safer choice for people with hypertension.",
      "Anti-inflammatory painkillers such as ibuprofen can raise blood pressure and make blood pressure tablets less effective; ask a doctor before use.",
      "Take ibuprofen tablets with food to protect your stomach.",
    ],
  },
];
