# SPDX-License-Identifier: Apache-2.0
"""Policy documents as this agent received them, by path: agreements and data models.

Exactly the bytes that arrived are kept, and everything is read from them. What is
refused here is what no hub may slip in: an older version of an agreement, another text
under the same version, an agreement that this agency is no party to. Signatures of
boards come in at `PolicyCache.learn`, before anything else.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from accord.agent.keys import replace_secret
from accord.agent.state import AgentState
from accord.core.agreement import Agreement, load_agreement
from accord.core.agreement_form import AgreementForm
from accord.core.canonical import bytes_digest
from accord.core.document import DocumentError, Problem, parse_document
from accord.core.errors import ConfigurationError, PolicyDenied
from accord.core.model import DataModel, load_model

MODELS, AGREEMENTS = "models", "agreements"

_PATH = re.compile(
    r"(?P<folder>models|agreements)/(?P<name>[a-z0-9][a-z0-9-]{0,62})\.yaml"
)


class PolicyCache:
    """The documents of one agency; one instance belongs to one thread."""

    def __init__(self, state: AgentState, agency: str) -> None:
        """Read nothing yet.

        Args:
            state: where the documents lie.
            agency: label of this agency.
        """
        self._folder = state.policies
        self._agency = agency
        self._models: dict[str, DataModel] = {}
        self._agreements: dict[tuple[str, str], Agreement] = {}

    def known(self) -> Mapping[str, str]:
        """Return path and SHA-256 (hex) of every document held."""
        return {
            path: bytes_digest((self._folder / path).read_bytes())
            for folder in (MODELS, AGREEMENTS)
            for path in sorted(self._paths(folder))
        }

    def learn(self, path: str, content: bytes) -> None:
        """Keep a document if it may take its place.

        Raises:
            DocumentError: it cannot be read as what its path says.
            PolicyDenied: POLICY_PATH, POLICY_NOT_A_PARTY, POLICY_ROLLBACK or
                POLICY_VERSION_REUSED.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            raise PolicyDenied(
                "POLICY_PATH", "The hub sent a document that agents have no use for."
            )
        text = _text(content, path)
        if match["folder"] == MODELS:
            self._require_name(load_model(text, path).name, match["name"])
        else:
            self._check_agreement(text, path, match["name"])
        (self._folder / match["folder"]).mkdir(mode=0o700, exist_ok=True)
        replace_secret(self._folder / path, content)

    def model(self, name: str) -> DataModel | None:
        """Return the data model called *name*, if it is held."""
        content = self._read(f"{MODELS}/{name}.yaml")
        if content is None:
            return None
        key = bytes_digest(content)
        if key not in self._models:
            path = f"{MODELS}/{name}.yaml"
            self._models[key] = load_model(_text(content, path), path)
        return self._models[key]

    def agreement(self, name: str) -> tuple[Agreement, DataModel] | None:
        """Return the agreement called *name* with its data model, if both are held."""
        path = f"{AGREEMENTS}/{name}.yaml"
        if _PATH.fullmatch(path) is None:
            return None
        content = self._read(path)
        if content is None:
            return None
        text = _text(content, path)
        named = re.search(r"^data_model:\s*['\"]?([a-z0-9-]+)", text, re.MULTILINE)
        model = self.model(named[1]) if named else None
        if model is None:
            return None
        key = (bytes_digest(content), model.digest)
        if key not in self._agreements:
            try:
                found = load_agreement(text, path, {model.name: model})
            except DocumentError:
                return None
            self._agreements[key] = found
        return self._agreements[key], model

    def agreements(self) -> Iterator[tuple[Agreement, DataModel]]:
        """Yield every agreement that can be answered under, with its data model."""
        for path in sorted(self._paths(AGREEMENTS)):
            found = self.agreement(Path(path).stem)
            if found is not None:
                yield found

    def _check_agreement(self, text: str, path: str, name: str) -> None:
        models = {
            model.name: model
            for other in self._paths(MODELS)
            if (model := self.model(Path(other).stem)) is not None
        }
        agreement = load_agreement(text, path, models)
        self._require_name(agreement.name, name)
        if self._agency not in agreement.parties:
            raise PolicyDenied(
                "POLICY_NOT_A_PARTY",
                f"The agreement {name!r} does not name {self._agency!r} as a party.",
            )
        held = self._read(path)
        if held is None or bytes_digest(held) == agreement.digest:
            return
        # The version is read from the text itself: it counts also where the agreement
        # does not fit the data model that the hub sent since.
        form = parse_document(_text(held, path), AgreementForm, source=path)
        have, got = form.version, agreement.form.version
        if got < have:
            raise PolicyDenied(
                "POLICY_ROLLBACK",
                f"The hub offers version {got} of the agreement {name!r}; this agent "
                f"has version {have} and does not go back.",
            )
        if got == have:
            raise PolicyDenied(
                "POLICY_VERSION_REUSED",
                f"The hub offers another text of the agreement {name!r} under the same "
                f"version {have}; a change needs a new version.",
            )

    def _require_name(self, inside: str, outside: str) -> None:
        if inside != outside:
            raise PolicyDenied(
                "POLICY_PATH",
                f"The hub sent the document of {inside!r} under the name {outside!r}.",
            )

    def _paths(self, folder: str) -> list[str]:
        place = self._folder / folder
        if not place.is_dir():
            return []
        paths = [f"{folder}/{entry.name}" for entry in place.iterdir()]
        return [path for path in paths if _PATH.fullmatch(path)]

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None


def model_for_mapping(state: AgentState, name: str, file: Path | None) -> DataModel:
    """Return the data model that a mapping names.

    From *file* if given, else as the hub sent it, else the sample that is shipped.

    Raises:
        ConfigurationError: MODEL_ABSENT, or the document is not valid.
    """
    if file is not None:
        return load_model(read_document(file), file.name)
    held = PolicyCache(state, "").model(name)
    if held is not None:
        return held
    sample = importlib.resources.files("accord.policies") / MODELS / f"{name}.yaml"
    if not sample.is_file():
        raise ConfigurationError(
            "MODEL_ABSENT",
            f"There is no data model {name!r} here yet. `accord-agent run` fetches it "
            "from the hub, or name its file with --model.",
        )
    return load_model(sample.read_text(encoding="utf-8"), f"{name}.yaml")


def read_document(path: Path) -> str:
    """Return the text of a document that somebody named.

    Raises:
        ConfigurationError: DOCUMENT_UNREADABLE or DOCUMENT_INVALID.
    """
    try:
        return _text(path.read_bytes(), path.name)
    except OSError as error:
        raise ConfigurationError(
            "DOCUMENT_UNREADABLE", f"{path} cannot be read: {error.strerror}."
        ) from None


def _text(content: bytes, source: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        sentence = "this line is not UTF-8 text."
        raise DocumentError(
            source, [Problem(line=line, column=1, path="", sentence=sentence)]
        ) from None
