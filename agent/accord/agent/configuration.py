# SPDX-License-Identifier: Apache-2.0
"""The settings file of a new agent: every setting that staff may want, as a comment."""

CONFIGURATION = """\
# Settings of this agent. Every entry has a default; remove the # to change one.
#
# answer_slot_seconds = 0.1
# stay_connected = "always"
# log_level = "info"
#
# [lifetime.zcdp]     # what this agency's records may ever lose, over all agreements
# epsilon = 100
# delta = 1e-9
#
# [lifetime.pure]
# epsilon = 100
#
# [ingest]
# memory = "640MiB"
# spill = "50GiB"
# threads = 1
#
# [audit]
# keep_days = 400
#
# [retention]         # months = 60 lets older cases and editions go; else none does
# registered = "registered_month"
#
# [approval]          # people approve questions first: "never", "always", ["AGREEMENT"]
# needed = "never"
# remember = false
# remind_after_hours = 24
#
# [keys]              # seals keys: kek_file = "/media/kek/accord-agent.kek"
#
# [metrics]           # figures for Prometheus: address = "127.0.0.1:9464"
#
# [tracing]           # for OpenTelemetry: endpoint = "http://127.0.0.1:4317"
#
# [databases]         # that records are read from: [databases.NAME], with url = "..."
#
# [store]             # "database" counts in a table of one of your databases
# where = "local"
"""
