# SPDX-License-Identifier: Apache-2.0
"""What is known of a server: its models, the one to ask, what it can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import RemoteError
from .dialects import spoken_by
from .probe import Abilities
from .settings import Address
from .square import Verdict

SHOWN = 5  # names of models in a message
# Of an entry of the list of models. Not `created`, which may be another at every request.
LASTING = (
    "id",
    "owned_by",
    "root",
    "parent",
    "max_model_len",
    "meta",
)

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Server:
    """A server as it was when it was asked last.

    Attributes:
        listing: its models.
        model: the name of the one that is asked, as its list has it.
        sent: the same as requests write it.
        abilities: what it was seen to do.
        square: whether it knows places in pictures.
    """

    listing: Sequence[Entry]
    model: str
    sent: str
    abilities: Abilities = Abilities()
    square: Verdict = Verdict(None, "not tried")

    @property
    def owner(self) -> str:
        """What the server calls itself."""
        return next(str(e.get("owned_by", "")) for e in self.listing if e["id"] == self.model)

    @property
    def name(self) -> str:
        """As people know it."""
        dialect = self.abilities.dialect or spoken_by(self.owner)
        return dialect.name if dialect else "unknown"

    def doubtful(self, problem: str) -> Server:
        """The same server, of which something could not be found out."""
        abilities = replace(self.abilities, sure=False)
        return replace(self, abilities=abilities, square=Verdict(None, f"not done ({problem})"))

    def facts(self) -> dict[str, str]:
        """For diagnostics."""
        return {"server": self.name, **self.abilities.in_words(), "square test": self.square.text}

    def warning(self) -> str:
        """What is wrong with it for our purposes; empty where nothing is."""
        return f"the server's boxes are {self.square.text}" if self.square.right is False else ""


def entries(listed: Mapping[str, Any], address: Address) -> list[Entry]:
    """The models in a reply to GET /models; RemoteError if there is none."""
    data = listed.get("data")
    found = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    named = [entry for entry in found if isinstance(entry.get("id"), str)]
    if not named:
        raise RemoteError(f"{address}/models names no model: is it an OpenAI-style API?")
    return [{name: entry[name] for name in LASTING if name in entry} for entry in named]


def meet(listing: Sequence[Entry], address: Address) -> Server:
    """The server with its one model, or the one wanted.

    Of several none is taken unasked: vLLM lists a base model before its adapters.
    """
    wanted = address.model
    names = [str(entry["id"]) for entry in listing]
    if wanted in names or (wanted is None and len(names) == 1):
        model = wanted or names[0]
        entry = listing[names.index(model)]
        dialect = spoken_by(entry.get("owned_by"))
        return Server(listing, model, dialect.model(entry) if dialect else model)
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    problem = f"has several models ({shown})" if wanted is None else f"has no model {wanted!r}"
    dialect = spoken_by(listing[0].get("owned_by"))
    option = dialect.load_adapter if dialect else ""
    loading = f"; its option for adapters is {option}" if option else ""
    raise RemoteError(
        f"{address} {problem}: name one of {shown} behind the address, as in "
        f"{address}#{names[-1]}{loading}"
    )
