"""vLLM's request options, shared by the shapes `documents` and `score`. Knows no bodies.

Other servers have some of these options under other names.
"""

from typing import Annotated

from pydantic import Field

from facade.api.document import Truncate
from facade.api.lenient import Options
from facade.reranking.token_limits import TokenLimits


class ScoringOptions(Options):
    """Options for over-long pairs and for the scale of scores."""

    truncate: Annotated[Truncate, Field(description="Whether a document's end is cut where its pair is over the limit.")] = True
    max_tokens_per_doc: Annotated[int, Field(ge=0, description="Tokens to which a document is cut; 0: the model's limit.")] = 0
    truncate_prompt_tokens: Annotated[int, Field(ge=-1, description="Tokens to which a pair is cut; -1: the model's limit.")] = -1
    use_activation: Annotated[bool, Field(description="Whether a score is sigmoid(logit), else the raw logit.")] = True
    activation: Annotated[bool, Field(description="The same as use_activation.")] = True
    softmax: Annotated[bool, Field(description="The same as use_activation.")] = True

    @property
    def limits(self) -> TokenLimits:
        """The limits that the request sets below the model's own."""
        pair = self.truncate_prompt_tokens
        return TokenLimits(None if pair < 0 else pair, self.max_tokens_per_doc or None)

    @property
    def raw(self) -> bool:
        """Whether a score is the raw logit."""
        return not (self.use_activation and self.activation and self.softmax)
