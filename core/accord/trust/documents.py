# SPDX-License-Identifier: Apache-2.0
"""Documents that were read before are not read again."""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping
from typing import Final

from accord.core.canonical import bytes_digest
from accord.core.policy import PolicySet, load_policy_set

_MOST_KEPT: Final = 16

_kept: collections.OrderedDict[frozenset[tuple[str, str]], PolicySet] = (
    collections.OrderedDict()
)
_lock = threading.Lock()


def read_policies(documents: Mapping[str, bytes]) -> PolicySet:
    """Read and check documents as `load_policy_set` does, once for the same bytes.

    Raises:
        ConfigurationError: see there.
    """
    name = frozenset((path, bytes_digest(each)) for path, each in documents.items())
    with _lock:
        found = _kept.get(name)
        if found is not None:
            _kept.move_to_end(name)
            return found
    read = load_policy_set(documents)
    with _lock:
        _kept[name] = read
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return read
