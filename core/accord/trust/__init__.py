# SPDX-License-Identifier: Apache-2.0
"""Signed policies: how boards sign them, hubs publish them and agents believe them.

Policies travel as a TUF repository (The Update Framework, specification 1.0.31). The
roles ``root`` and ``targets`` belong to the board, ``snapshot`` and ``timestamp`` to
the hub, ``agreement-NAME`` to an agreement's own parties, and ``emergency-NAME`` to
the approvers of its emergency clause. All metadata are a function of the documents,
so that ``board.yaml`` and ``members.yaml`` are the only places where keys are named.
"""
