"""From a model's response to its answer, and the contracts a response is asked to keep.

`parse` is the only parser of this package. `render` writes the response that a contract asks
for, `encode_truth` and `decode_truth` carry the ground truth through hosts as text.
"""

from temporal_plugin.answers.choices import option_words, read_choice
from temporal_plugin.answers.contracts import CONTRACTS, Contract, contract_named, render
from temporal_plugin.answers.final import named_spans
from temporal_plugin.answers.model import PROBLEMS, REFUSAL, Answer
from temporal_plugin.answers.parser import parse
from temporal_plugin.answers.truth import Truth, decode_truth, encode_truth

__all__ = [
    "CONTRACTS",
    "PROBLEMS",
    "REFUSAL",
    "Answer",
    "Contract",
    "Truth",
    "contract_named",
    "decode_truth",
    "encode_truth",
    "named_spans",
    "option_words",
    "parse",
    "read_choice",
    "render",
]
