# SPDX-License-Identifier: Apache-2.0
"""Finds out what a server can do for us, by asking: grammar, probabilities, no thinking.

A server's word is not enough. Most ignore the fields that they do not know, so a grammar counts as
obeyed only if it forces an answer that the model would never give by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import RemoteError
from .dialects import Dialect, Fields, likely
from .exchange import Refused
from .language import ANGLE, Language, literal
from .replies import Reply, Thinks

QUESTION = "Greet a friend in one short sentence."
TOKENS = 40  # of an answer
THINKING = 1500  # tokens more for a model that cannot be kept from it
# Built as the grammars of heads and poses are; the number in it makes it nobody's own words.
FORCED = literal("{481516,") + ANGLE + (literal(",") + ANGLE).repeated(1, 2) + literal("}.")
# Templates know one of these names or none. TensorRT-LLM refuses names that the template does not
# use, and Edge-LLM all but the second set, the name that Qwen, GLM and Gemma have.
QUIET: tuple[Fields, ...] = (
    {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    {"chat_template_kwargs": {"enable_thinking": False}},
)
# OpenAI, vLLM and LMDeploy allow 20 alternatives a token, some others less; ten digits need ten.
PROBABILITY_FIELDS: tuple[Fields, ...] = (
    *({"logprobs": True, "top_logprobs": most} for most in (20, 10, 5)),
    {"logprobs": True},
)

Ask = Callable[[Fields, int], Reply]


@dataclass(frozen=True)
class Abilities:
    """What a server was seen to do.

    Attributes:
        dialect: how a grammar is told so that it is obeyed; None where none is.
        grammar: the same in words, and why there is none.
        quiet: fields that turn thinking off.
        thinks: the model reasons all the same, for which it needs `room` for more tokens.
        probability_fields: fields that ask for probabilities; empty where the server tells none.
        alternatives: other tokens told beside each one written.
        sure: False where the server failed in between, so that it is worth asking again.
    """

    dialect: Dialect | None = None
    grammar: str = "not tried"
    quiet: Fields = field(default_factory=dict)
    thinks: bool = False
    probability_fields: Fields = field(default_factory=dict)
    alternatives: int = 0
    sure: bool = True

    def fields(self, language: Language | None) -> Fields:
        """What a request has beside the question."""
        ruled: Fields = {}
        if self.dialect is not None and language is not None:
            ruled = self.dialect.grammar(language)
        return self.quiet | self.probability_fields | ruled

    @property
    def room(self) -> int:
        """Tokens that a reply is allowed beyond its answer, for thoughts that cannot be turned
        off."""
        return THINKING if self.thinks else 0

    def obeyed(self, language: Language | None, text: str) -> bool:
        """False for an answer that breaks a grammar which this server obeyed before."""
        return self.dialect is None or language is None or language.matches(text.strip())

    def in_words(self) -> dict[str, str]:
        """For diagnostics."""
        thinking = "the model thinks all the same" if self.thinks else "off"
        alternatives = f"of {self.alternatives} alternatives a token"
        probabilities = alternatives if self.alternatives else "of the tokens written"
        return {
            "grammar": self.grammar,
            "probabilities": probabilities if self.probability_fields else "not told",
            "thinking": thinking,
        }


def find_out(ask: Ask, owner: str) -> Abilities:
    """`ask(fields, tokens)` puts QUESTION with these fields more, for an answer of so many tokens;
    `owner` is the server's name for itself.

    RemoteError where not even the question alone is answered.
    """
    trial = _Trial(ask)
    quiet, reply = trial.first({}, QUIET) or ({}, ask({}, TOKENS))
    probability_fields, detailed = trial.first(quiet, PROBABILITY_FIELDS) or ({}, reply)
    if not detailed.tokens:  # asked for and left out, which some do without a word
        probability_fields = {}
    alternatives = max((len(token.alternatives) for token in detailed.tokens), default=0)
    dialect, grammar = _grammar(trial, owner, quiet | probability_fields)
    thinks = reply.thought or trial.thinks
    return Abilities(dialect, grammar, quiet, thinks, probability_fields, alternatives, trial.sure)


class _Trial:
    """Questions of which a refusal is an answer, too."""

    def __init__(self, ask: Ask):
        self._ask, self.sure, self.refusal = ask, True, ""
        self.thinks = False

    def __call__(self, fields: Fields) -> Reply | None:
        try:
            return self._ask(fields, TOKENS + (THINKING if self.thinks else 0))
        except Thinks as error:
            if not self.thinks:
                self.thinks = True
                return self(fields)
            self.refusal = str(error)
        except Refused as error:
            self.refusal = str(error)
        except RemoteError as error:
            self.sure, self.refusal = False, str(error)
        return None

    def first(self, fixed: Fields, several: Sequence[Fields]) -> tuple[Fields, Reply] | None:
        """The first fields that the server takes beside the fixed ones, and its reply."""
        for fields in several:
            if (reply := self(fixed | fields)) is not None:
                return fields, reply
        return None


def _grammar(trial: _Trial, owner: str, others: Fields) -> tuple[Dialect | None, str]:
    """The dialect whose grammar is obeyed, and how it went in words."""
    reason = ""
    for dialect in likely(owner):
        trial.refusal = ""
        reply = trial(others | dialect.grammar(FORCED))
        if reply is not None and FORCED.matches(reply.text.strip()):
            return dialect, f"obeyed, as {dialect.name} takes it"
        if not reason:  # that of the likeliest dialect tells most
            reason = trial.refusal or f"ignored as {dialect.name} takes it"
    return None, f"not obeyed ({reason})"
