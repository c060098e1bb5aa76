"""A provider that speaks every wire format Douane reads, over HTTP/1.1 and HTTP/2, plain and over TLS.

host.LlmHost starts it. What it answers is chosen by words in the last message, see script.py; usage numbers are always the same.
One module for each family of formats: its ROUTES say which paths it answers.
Source of every shape: the providers' public API references, read 2026-11; written by hand, in our own words.
"""

from tests.support.llm_host.host import LlmHost

__all__ = ["LlmHost"]
