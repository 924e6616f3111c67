# SPDX-License-Identifier: Apache-2.0
"""What boards do with policies on their own machines: files, signatures, the hub."""
