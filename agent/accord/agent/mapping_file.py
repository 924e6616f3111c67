# SPDX-License-Identifier: Apache-2.0
"""A mapping file that somebody named, read against the data model that it asks for."""

from __future__ import annotations

from pathlib import Path

from accord.agent.intake.mapping import Mapping, load_mapping, peek_model
from accord.agent.policies import model_for_mapping, read_document
from accord.agent.state import AgentState


def mapping_from(state: AgentState, file: Path, model: Path | None) -> Mapping:
    """Return the mapping in *file*.

    Args:
        state: of the agent; holds the models that the board signed.
        file: the mapping.
        model: file of another data model, if one was named.

    Raises:
        ConfigurationError: a document cannot be read, or MODEL_ABSENT.
        DocumentError: the mapping is not valid, or a question in it is open.
    """
    text = read_document(file)
    name = peek_model(text, file.name)
    return load_mapping(text, file.name, model_for_mapping(state, name, model))
