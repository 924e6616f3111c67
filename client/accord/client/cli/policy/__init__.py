# SPDX-License-Identifier: Apache-2.0
"""``accord policy``: what boards do with agreements."""

from __future__ import annotations

import importlib
import importlib.util

import typer

from accord.client.cli.policy.fetching import fetch
from accord.client.cli.policy.founding import found
from accord.client.cli.policy.keys import keygen, keys
from accord.client.cli.policy.signing import merge, proposals, propose, publish, sign

policy_app = typer.Typer(
    no_args_is_help=True, help="Write, compare, sign and publish agreements."
)

_COMMANDS = {
    "linting": ("lint",),
    "comparing": ("diff",),
    "explaining": ("explain", "simulate"),
    "dossier": ("dossier",),
}
for _module, _names in _COMMANDS.items():
    if importlib.util.find_spec(f"{__name__}.{_module}") is not None:
        _loaded = importlib.import_module(f"{__name__}.{_module}")
        for _name in _names:
            policy_app.command(_name)(getattr(_loaded, _name))

for _command in (keygen, found, keys, fetch, propose, proposals, sign, merge, publish):
    policy_app.command()(_command)
