# SPDX-License-Identifier: Apache-2.0
"""Pages for the agency's staff, on this machine only: what all of them share.

What starlette, uvicorn and jinja2 are needed for is imported when a page is opened;
they come with the extra ``page``.
"""
