# SPDX-License-Identifier: Apache-2.0
"""The agent's side of the network: enrolment, certificates, the stream to the hub."""
