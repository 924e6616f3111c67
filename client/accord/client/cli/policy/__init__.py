# SPDX-License-Identifier: Apache-2.0
"""``accord policy``: what boards do with agreements."""

from __future__ import annotations

import typer

from accord.client.cli.policy.comparing import diff
from accord.client.cli.policy.dossier import dossier
from accord.client.cli.policy.explaining import explain, simulate
from accord.client.cli.policy.fetching import fetch
from accord.client.cli.policy.founding import found
from accord.client.cli.policy.keys import keygen, keys
from accord.client.cli.policy.linting import lint
from accord.client.cli.policy.signing import merge, proposals, propose, publish, sign

policy_app = typer.Typer(
    no_args_is_help=True, help="Write, compare, sign and publish agreements."
)
for reading in (lint, explain, diff, simulate, dossier):
    policy_app.command()(reading)
for deciding in (keygen, found, keys, fetch, propose, proposals, sign, merge, publish):
    policy_app.command()(deciding)
