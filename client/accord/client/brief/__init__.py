# SPDX-License-Identifier: Apache-2.0
"""One page in plain sentences on what was released, with drawings and a citation.

Nothing is asked and nothing is charged: a brief reads releases only.
"""

from accord.client.brief.composing import Brief, Section, brief_of
from accord.client.brief.page import as_html, as_markdown

__all__ = ["Brief", "Section", "as_html", "as_markdown", "brief_of"]
