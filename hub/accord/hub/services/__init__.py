# SPDX-License-Identifier: Apache-2.0
"""What the hub serves: enrolment and analysts on one port, agents on the other."""
