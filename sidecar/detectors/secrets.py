"""Secrets in texts: keys of known vendors, private keys, connection strings, headers, assigned passwords and keys.

In: a View. Out: secret_leak Findings whose span is the secret itself, so that redaction takes it and nothing else.
How: one set match over the gates of all shapes (heads of tokens, forms of URLs and assignments), which most texts do not
pass; then only what a gate let through is read. Text is read as Latin-1, one byte per code point, others as "?": no
secret holds them, and offsets need no counting.
Each value must look random (genuine.py), or placeholders such as sk-xxxx would alert.
Weights: a secret alerts (>= 5) wherever it stands; it is never CRITICAL by itself, for people do paste keys.
Never: checking a key with its vendor, keeping a match.
"""

import math
import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import re2

from sidecar.detectors.assignments import GATE as ASSIGNMENT
from sidecar.detectors.assignments import Assigned, assignments, is_secret
from sidecar.detectors.genuine import confidence, entropy, is_credentials, is_jwt, is_mixed, is_placeholder
from sidecar.detectors.patterns import source_span
from sidecar.detectors.shapes import FREE, NAMED, RULES, TOKENS, Shape, expanded
from sidecar.types import Finding, ThreatType, View

SET_MEMORY_BYTES = 16 << 20
FOLDED = "folded"
SPANS_MAX = 64  # findings of one rule in one view
# The set is asked about windows: each gate that opened multiplies the states of its automaton until the text's end
# (measured on 100 KB of new texts: 2,200 us whole, 330 us in windows). No gate is longer than OVERLAP.
WINDOW = 2048
OVERLAP = 256
REACH = 8192  # what a secret that begins in a window may reach beyond it: a private key of 4096 bits takes 3,300
_TAIL = r"[A-Za-z0-9_\-.+/=$]{10}"
_BEFORE = r"(?:\b|\\[nrt]|%[0-9A-Fa-f]{2})"
_HEADS = sorted({head for shape in TOKENS for head in shape.heads}, key=lambda head: (-len(head), head))
TOKEN_GATE = _BEFORE + "(?:" + "|".join(re2.escape(head) for head in _HEADS) + ")" + _TAIL
_ESCAPE = re.compile(rb"\\[nrt]|%[0-9A-Fa-f]{2}")
_KEY_LENGTH = 2  # tokens are looked up by the first letters of their heads

BLOCK_GATE = "-----BEGIN |PuTTY-User-Key-File-"
URL_GATE = r"://[^\s/@:\"'<>]*:[^\s/@\"'<>]{3}[^\s/@\"'<>]*@"
HEADER_GATE = r"(?i)(?:bearer|basic|authorization[\"' ]{0,2}[:=][\"' ]{0,2}token)\s{1,2}[A-Za-z0-9_\-.=/+~]{12}"
DSN_GATE = r"(?i)[;?&]\s?(?:password|pwd)\s?="
_B64 = r"[A-Za-z0-9+/=]"
_FEED = r"(?:\\[nr]|\s|>|\|)"
_PRIVATE_KEY = (
    rf"-----BEGIN (?:[A-Z0-9]{{2,12}} ){{0,3}}PRIVATE KEY(?: BLOCK)?-----{_FEED}*"
    rf"(?:[A-Za-z-]{{3,20}}: [^\n\\]{{0,100}}{_FEED}+){{0,5}}"
    rf"(?:{_B64}{{16,}}{_FEED}*)+(?:{_B64}{{1,16}}{_FEED}*)?(?:-----END [A-Z0-9 ]{{0,40}}-----)?"
)
_PUTTY_KEY = r"(?s)PuTTY-User-Key-File-\d: .*?Private-Lines: \d+\s+((?:[A-Za-z0-9+/=]{4,}\s*)+)"
_URL = r"([a-z][a-z0-9+]{1,20})://[^\s/@:\"'<>]{0,80}:([^\s/@\"'<>]{3,120})@[A-Za-z0-9.\[$-]{2}"
_HEADER = r"(?i)\b(bearer|basic|authorization[\"' ]{0,2}[:=][\"' ]{0,2}token)\s{1,2}([A-Za-z0-9_\-.=/+~]{12,})"
_DSN = r"(?i)(?:;\s?|jdbc:[^\s\"']{4,160}[?&;])(?:password|pwd)\s?=\s?([^;&\s\"'<>]{4,100})"
_DIGIT_AND_NO_CALL = re.compile(r"[^(\[{\d]*\d[^(\[{]*")
# Passwords that only stand for one, in URLs of documentation and of tests.
_WEAK = frozenset(
    "pass passwd user username changeit postgres root admin guest mysql redis test token pwd passw0rd hunter2 pw".split()  # noqa: SIM905
)
_DATABASES = re.compile(
    r"postgres|mysql|maria|mongo|redis|amqp|mssql|sqlserver|oracle|cockroach|clickhouse|nats|kafka|ldap|cassandra|neo4j"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A secret in a text. start and end are offsets; of two at one place the one of lower rank stays."""

    shape: Shape
    start: int
    end: int
    confidence: float = 1.0
    rank: int = 0


def options(max_mem: int) -> re2.Options:
    """Return RE2 options for texts read as Latin-1."""
    made = re2.Options()
    made.max_mem = max_mem
    made.encoding = re2.Options.Encoding.LATIN1
    made.log_errors = False
    return made


def _compile(pattern: str) -> re2._Regexp:
    return re2.compile(expanded(pattern).encode("latin-1"), options(4 << 20))


class SecretDetector:
    """All shapes as one detector. Safe to call from several threads."""

    def __init__(self, name: str) -> None:
        """Compile every shape. Raises: re2.error for a shape that RE2 refuses."""
        self.name = name
        self.RULES = RULES
        self._forms = {shape.id: shape for shape in RULES}
        self._tokens: dict[str, list[tuple[str, Shape, re2._Regexp]]] = defaultdict(list)
        for shape in TOKENS:
            tail = _compile(shape.pattern)
            for head in sorted(shape.heads, key=len, reverse=True):
                self._tokens[head[:_KEY_LENGTH]].append((head, shape, tail))
        self._token_gate = _compile(TOKEN_GATE)
        self._private_key, self._putty_key = _compile(_PRIVATE_KEY), _compile(_PUTTY_KEY)
        self._url, self._header, self._dsn = _compile(_URL), _compile(_HEADER), _compile(_DSN)
        self._named = [(shape, re.compile(shape.names, re.IGNORECASE), _compile(shape.pattern)) for shape in NAMED]
        readers: list[tuple[str, Callable[[bytes], Iterator[Seen]]]] = [
            (BLOCK_GATE, self._blocks),
            (TOKEN_GATE, self._token_values),
            *((shape.gate, self._free(shape)) for shape in FREE),
            (URL_GATE, self._urls),
            (DSN_GATE, self._dsns),
            (HEADER_GATE, self._headers),
            (ASSIGNMENT, self._assigned),
        ]
        self._readers = [reader for _, reader in readers]
        self._set = re2.Set.SearchSet(options(SET_MEMORY_BYTES))
        for gate, _ in readers:
            self._set.Add(gate.encode("latin-1"))
        self._set.Compile()

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return the secrets in a view, none within another. Folded views have no case: few shapes match there by design.

        Bounds: one linear pass, plus one per gate that opened.
        """
        data = view.text.encode("latin-1", "replace")
        found: list[Seen] = []
        # Folding reads @ as a and 0 as o: what it makes of an assignment is no password any more. Assignments come last.
        unread = len(self._readers) - (view.kind == FOLDED)
        for at in range(0, max(1, len(data) - OVERLAP), WINDOW):
            if hits := self._set.Match(data[at : at + WINDOW + OVERLAP]):
                wanted = [hit for hit in sorted(hits) if hit < unread]
                self._read(data[at : at + WINDOW + OVERLAP + REACH], at, wanted, found)
        return tuple(self._finding(view, seen) for seen in _apart(found)) if found else ()

    def _read(self, part: bytes, at: int, hits: list[int], found: list[Seen]) -> None:
        """Add what the readers behind open gates see in a window that begins at an offset."""
        for index in hits:
            for seen in self._readers[index](part):
                if seen.start >= WINDOW + OVERLAP:
                    break
                found.append(Seen(seen.shape, at + seen.start, at + seen.end, seen.confidence, index))

    def _finding(self, view: View, seen: Seen) -> Finding:
        span = source_span(view, seen.start, seen.end)
        shape = seen.shape
        return Finding(ThreatType.SECRET_LEAK, self.name, shape.id, span, shape.weight, seen.confidence, view.kind)

    def _token_values(self, data: bytes) -> Iterator[Seen]:
        """Yield tokens by their heads. A token is followed by no letter or digit."""
        position = 0
        while found := self._token_gate.search(data, position, WINDOW + OVERLAP):
            start = found.start()
            if escape := _ESCAPE.match(data, start):
                start = escape.end()
            seen = self._token_at(data, start)
            position = seen.end if seen else start + _KEY_LENGTH
            if seen:
                yield seen

    def _token_at(self, data: bytes, start: int) -> Seen | None:
        for head, shape, tail in self._tokens.get(data[start : start + _KEY_LENGTH].decode("latin-1"), ()):
            if data.startswith(head.encode(), start):
                match = tail.match(data, start + len(head))
                if match is None or data[match.end() : match.end() + 1].isalnum():
                    continue
                body = match[0].decode("latin-1")
                secret = head + body
                if _is_random(shape, body) and (shape.id != "secrets.jwt" or is_jwt(secret)):
                    return Seen(shape, start, match.end(), confidence(shape.id, secret))
        return None

    def _free(self, shape: Shape) -> Callable[[bytes], Iterator[Seen]]:
        """Return the reader of a shape without a head. The secret is the pattern's group, if it has one."""
        pattern = _compile(shape.pattern)

        def read(data: bytes) -> Iterator[Seen]:
            for match in pattern.finditer(data):
                group = 1 if pattern.groups else 0
                value = match[group].decode("latin-1")
                after = data[match.end(group) : match.end(group) + 1]
                if entropy(value) >= shape.entropy and not is_placeholder(value) and not after.isalnum():
                    yield Seen(shape, match.start(group), match.end(group))

        return read

    def _blocks(self, data: bytes) -> Iterator[Seen]:
        for match in self._private_key.finditer(data):
            body = match[0].decode("latin-1").partition("KEY")[2]
            if entropy(body) >= 3.0 and not is_placeholder(body.strip("- \n")[:400]):
                yield Seen(self._forms["secrets.private_key"], *match.span())
        for match in self._putty_key.finditer(data):
            yield Seen(self._forms["secrets.putty_key"], *match.span(1))

    def _urls(self, data: bytes) -> Iterator[Seen]:
        """Yield the passwords of URLs."""
        for match in self._url.finditer(data):
            password = match[2].decode("latin-1")
            if len(set(password)) > 2 and not is_placeholder(password) and password.lower() not in _WEAK:
                kind = "connection_string" if _DATABASES.match(match[1].decode("latin-1")) else "basic_auth_url"
                yield Seen(self._forms[f"secrets.{kind}"], *match.span(2))

    def _dsns(self, data: bytes) -> Iterator[Seen]:
        """Yield the passwords of JDBC URLs and of connection strings made of name=value;."""
        for match in self._dsn.finditer(data):
            password = match[1].decode("latin-1")
            if _DIGIT_AND_NO_CALL.fullmatch(password) and not is_placeholder(password):
                yield Seen(self._forms["secrets.connection_string"], *match.span(1))

    def _headers(self, data: bytes) -> Iterator[Seen]:
        for match in self._header.finditer(data):
            value = match[2].decode("latin-1")
            if match[1].lower() == b"basic":
                if is_credentials(value):
                    yield Seen(self._forms["secrets.basic_header"], *match.span(2))
            elif len(value) >= 16 and entropy(value) >= 3.0 and is_mixed(value) and not is_placeholder(value):
                yield Seen(self._forms["secrets.bearer_header"], *match.span(2))

    def _assigned(self, data: bytes) -> Iterator[Seen]:
        for found in assignments(data, WINDOW + OVERLAP):
            if kind := is_secret(found):
                yield Seen(self._vendor(found, data) or self._forms[f"secrets.{kind}"], found.start, found.end)

    def _vendor(self, found: Assigned, data: bytes) -> Shape | None:
        """Return the shape of the vendor that the name of a value tells, or the words just before it."""
        before = data[max(0, found.start - 80) : found.start].decode("latin-1").rpartition("\n")[2]
        for shape, names, pattern in self._named:
            if names.search(f"{before} {found.name}") and pattern.fullmatch(found.value.encode("latin-1", "replace")):
                return shape
        return None


def _apart(found: list[Seen]) -> list[Seen]:
    """Return the secrets in order, none within another, at most SPANS_MAX of a kind."""
    kept: list[Seen] = []
    counts: dict[str, int] = defaultdict(int)
    ends: list[int] = []
    starts: list[int] = []
    for seen in sorted(found, key=lambda seen: (seen.rank, seen.start, -seen.end)):
        place = bisect(starts, seen.start)
        free = (place == 0 or ends[place - 1] <= seen.start) and (place == len(starts) or seen.end <= starts[place])
        if free and counts[seen.shape.id] < SPANS_MAX:
            starts.insert(place, seen.start)
            ends.insert(place, seen.end)
            counts[seen.shape.id] += 1
            kept.append(seen)
    return sorted(kept, key=lambda seen: seen.start)


def _is_random(shape: Shape, body: str) -> bool:
    """Tell whether what stands behind a head is random enough for its shape."""
    return (
        entropy(body) >= min(shape.entropy, 0.8 * math.log2(len(body))) and is_mixed(body) and not is_placeholder(body)
    )
