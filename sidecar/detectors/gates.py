"""Gates: the words without which a pattern cannot match.

In: a pattern in RE2 syntax. Out: its branches, and the sets of stems of which every match holds at least one.
Why: an automaton over hundreds of patterns with gaps between words grows a new state at nearly every byte of a new
text (measured on unseen texts: 4,300 µs per KB), one over 2,400 stems is too large to keep (800 µs per KB). Looking up
words in a dict costs 20 µs per KB; then only the patterns run whose words are all there.
Never: decides a match; a gate may be too wide, never too narrow.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

STEM_MIN, STEM_MAX = 2, 12
WORDS_HELD = 120_000
WORD_BYTES = 40  # longer words are not kept
WHOLE = " "
GATES_MAX = 4
FAR = 1000  # words: anywhere in the text that is looked at
_UNCOUNTED = 1000
# Words of nearly every text: a gate that holds one is nearly always open, so another one is asked first.
_EVERYDAY = re.compile(
    r"a|about|above|all|an|and|any|answer|are|as|ask|at|be|been|before|being|but|by|call|can|code|data|do|does|end|every"
    r"|explain|file|for|from|get|give|has|have|help|here|how|i|if|in|input|into|is|it|its|know|like|list|make|me|message"
    r"|my|needs?|new|no|not|now|of|on|one|only|or|other|our|out|output|please|print|provide|question|read|response|return"
    r"|say|see|send|set|should|show|so|some|start|state|system|tell|text|that|the|their|them|then|there|these|they|this"
    r"|those|to|two|up|us|use|user|want|was|we|what|when|which|will|with|without|word|words|would|write|you|your"
    r"|aux?|ce|de|des|du|en|est|et|la|le|les|ne|pas|plus|que|qui|sur|ton|tu|une?|votre|vous"
    r"|das|dein|den|der|die|ein|ist|mir|nicht|sie|und|zu|con|del|di|e|el|il|las|lo|los|mi|o|os|para|per|por|se|sin|sua?|te|tus?"
)
_CODE = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")
_CATEGORY = re.compile(r"\\[pP](?:\{\^?\w+\}|\w)")
_BLANK_CLASS = re.compile(r"\\[sW]|\[:space:\]")  # takes all white space, so that a class without it takes none
_BLANKS_IN = re.compile(r"[ \t\n]|\\[sWDntrP]|\[:(?:\^|space:|blank:)")
_COUNTED = re.compile(r"\{\d+(?:,\d*)?\}")
# What RE2 knows and this reader does not: it would see words where there are none, and keep a rule from running.
_UNREAD = re.compile(r"(?:[^\\]|^)(?:\\\\)*(\(\?(?![a-zA-Z-]*:)[^)]{0,12}\)?|\\[QCE0-9])")
_PARENTHESES = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|[()]", re.DOTALL)
# Everything that \b takes for no part of a word becomes a blank.
_SPLIT = bytes(byte if chr(byte).isascii() and (chr(byte).isalnum() or byte == 95) else 32 for byte in range(256))
_NONE: frozenset[int] = frozenset()
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: groups that occur often are read once
class Node:
    """A part of a pattern.

    Shape: kind is literal (text is the character), blank (\\s), edge (\\b), wide (anything else), cat or alt.
    """

    kind: str
    text: str
    parts: tuple["Node", ...] = ()
    least: int = 1  # repetitions
    most: int = 1


def branches(pattern: str) -> tuple[str, ...]:
    """Return the alternatives of a pattern that has any at its top level, else the pattern itself."""
    root = _root(pattern)
    return tuple(part.text for part in root.parts) if root.kind == "alt" else (pattern,)


def gates(pattern: str) -> tuple[frozenset[str], ...]:
    """Return what a pattern cannot match without: of each set at least one stem stands in every matching text.

    Shape: lower-case stems of STEM_MIN to STEM_MAX bytes; the most telling sets first, at most GATES_MAX; none for a
    pattern without words.
    """
    found = sorted(set(_required(_root(pattern))), key=_plainness)
    return tuple(found[:GATES_MAX])


def unread(pattern: str) -> str:
    """Return the first piece of a pattern that gates cannot be read from, "" when there is none."""
    found = _UNREAD.search(pattern)
    return found[1] if found else ""


def reach(pattern: str) -> int:
    """Return how many words (between white space) the words of one match may stand apart, FAR for no bound."""
    characters, words = _reach(_root(pattern))
    return min(FAR, characters // 2 + words + 1)  # every second character of a counted gap may be a blank


def forget() -> None:
    """Drop what was kept of patterns already read."""
    for kept in (_root, _closes, _reach, _best):
        kept.cache_clear()


@cache
def _reach(node: Node) -> tuple[int, int]:
    """Return how many characters of counted gaps and how many words a match may take at most."""
    if node.kind == "wide":
        if node.most >= _UNCOUNTED:
            return 0, FAR if _takes_blanks(node.text) else 0
        return (node.most if node.most > 1 else 0), 0
    if node.kind in ("blank", "edge"):
        return 0, int(node.kind == "blank")
    if node.kind == "literal":
        return 0, int(not _wordy(node.text))
    reaches = [_reach(part) for part in node.parts] or [(0, 0)]
    join = max if node.kind == "alt" else sum
    return node.most * join(part[0] for part in reaches), node.most * join(part[1] for part in reaches)


def _takes_blanks(item: str) -> bool:
    """Tell whether a dot, a class or the letter of an escape takes white space; when in doubt it does."""
    if item.startswith("[^"):
        return not _BLANK_CLASS.search(item)
    if item.startswith("["):
        return _BLANKS_IN.search(item) is not None
    return item in (".", "W", "D")


@lru_cache(4096)
def _plainness(gate: frozenset[str]) -> tuple[bool, int, int, list[str]]:
    """Return what sorts gates: those without everyday words, then long stems, then few ones."""
    everyday = any(_EVERYDAY.fullmatch(stem.strip()) for stem in gate)
    return everyday, -min(map(len, gate)), len(gate), sorted(gate)


def _required(node: Node, edge: bool = False, close: bool = False) -> Iterator[frozenset[str]]:
    """Yield the sets of stems of which every match of the node holds one.

    edge tells that a word begins where the node does, close that one ends where the node does.
    """
    if node.least == 0:
        return
    if node.kind == "cat":
        yield from _in_parts(node.parts, edge, close)
    elif node.kind == "alt":
        choices = [_best(part, edge, close) for part in node.parts]
        if all(choices):
            yield frozenset().union(*choices)


@cache
def _best(node: Node, edge: bool, close: bool) -> frozenset[str]:
    """Return the most telling set of a branch, empty when it has none."""
    return min(_required(node, edge, close), key=_plainness, default=frozenset())


def _in_parts(parts: Sequence[Node], edge: bool, close: bool) -> Iterator[frozenset[str]]:
    """Yield the heads of words between other parts, and what these require. A whole word ends in WHOLE."""
    run = ""
    for index, part in enumerate((*parts, Node("wide", ""))):
        if part.kind == "literal" and part.least and _wordy(part.text):
            if run or edge or not part.text.isascii():
                run += part.text
                edge = False
            if part.least == part.most == 1:
                continue
        whole = _gap_first(parts[index:], close) and run.isascii()
        if len(run.encode()) >= STEM_MIN:
            yield frozenset({_cut(run) + (WHOLE if whole and len(run) <= STEM_MAX else "")})
        run = ""
        yield from _required(part, edge, _gap_first(parts[index + 1 :], close))
        edge = _edge_after(part, edge)


def _gap_first(parts: Sequence[Node], close: bool) -> bool:
    """Tell whether whatever the parts match begins with something that ends a word."""
    for part in parts:
        if part.kind == "edge" or (part.kind == "literal" and not _wordy(part.text)):
            return part.least > 0 or _gap_first(parts[1:], close)
        if part.kind == "blank":
            return part.least > 0 or _gap_first(parts[1:], close)
        if part.kind == "alt":
            first = all(_gap_first(branch.parts, False) for branch in part.parts)
        else:
            first = part.kind == "cat" and _gap_first(part.parts, False)
        return first and (part.least > 0 or _gap_first(parts[1:], close))
    return close


def _edge_after(node: Node, edge: bool) -> bool:
    """Tell whether a word begins right behind the node, whatever it matched; edge: whether one began before it."""
    if node.kind == "blank":
        return edge or node.least > 0
    if node.kind == "edge":
        return True
    if node.kind == "literal":
        inside = not _wordy(node.text)
    elif node.kind == "alt":
        inside = all(_edge_after(part, edge) for part in node.parts)
    elif node.kind == "cat":
        inside = edge
        for part in node.parts:
            inside = _edge_after(part, inside)
    else:
        inside = False
    return inside and (edge or node.least > 0)


@lru_cache(1024)
def _wordy(char: str) -> bool:
    """Tell whether a character is inside a word: what \\b takes for one, or a letter of another script."""
    return char.isalnum() or char == "_"


def _cut(run: str) -> str:
    """Return the head of a run: long enough to tell, short enough that forms of one word share it."""
    head = run.lower()
    while len(head.encode()) > STEM_MAX:
        head = head[:-1]
    return head


class Words(dict[bytes, frozenset[int]]):
    """What stands between white space, in lower case, to the gates that its words open; filled as it is met.

    Bounds: WORDS_HELD are kept, so that no text can fill memory; others are worked out each time.
    """

    def __init__(self, stems: dict[bytes, frozenset[int]]) -> None:
        """stems maps the head of a word to the gates it opens."""
        super().__init__()
        self._stems = stems
        self._sets: dict[frozenset[int], frozenset[int]] = {frozenset(): frozenset()}

    def __missing__(self, token: bytes) -> frozenset[int]:
        """Return, and keep while there is room, the gates of something not met before."""
        words = token.translate(_SPLIT).split()
        if len(token) > WORD_BYTES and len(words) > 1:  # too long to keep: its words are kept instead
            return frozenset().union(*map(self.__getitem__, words))
        found: set[int] = set()
        for word in words:
            found |= self._stems.get(word + WHOLE.encode(), _NONE)
            for size in range(STEM_MIN, min(len(word), STEM_MAX) + 1):
                found |= self._stems.get(word[:size], _NONE)
        opened = frozenset(found)
        if len(self) < WORDS_HELD and len(token) <= WORD_BYTES:
            opened = self[token] = self._sets.setdefault(opened, opened)  # the same set for all, compared by identity
        return opened


@cache
def _root(pattern: str) -> Node:
    """Return the node of a whole pattern, or of what stands in a group. Word lists stand in many patterns."""
    return _parse(pattern, 0)[0]


@cache
def _closes(pattern: str) -> dict[int, int]:
    """Return where each group of a pattern ends, by where it begins."""
    found: dict[int, int] = {}
    open_: list[int] = []
    for token in _PARENTHESES.finditer(pattern):
        if token[0] == "(":
            open_.append(token.start())
        elif token[0] == ")":
            found[open_.pop()] = token.start()
    return found


def _parse(pattern: str, position: int) -> tuple[Node, int]:
    """Return the node of an alternation that starts at position, and where it ends."""
    start, begin = position, position
    options: list[Node] = []
    parts: list[Node] = []
    while position < len(pattern) and pattern[position] != ")":
        if pattern[position] == "|":
            options.append(Node("cat", pattern[begin:position], tuple(parts)))
            parts, begin = [], position + 1
            position += 1
            continue
        node, position = _item(pattern, position)
        parts.append(node)
    options.append(Node("cat", pattern[begin:position], tuple(parts)))
    return (options[0] if len(options) == 1 else Node("alt", pattern[start:position], tuple(options))), position


def _item(pattern: str, start: int) -> tuple[Node, int]:
    """Return one item with its repetition, and where it ends. Literal nodes hold the character itself."""
    char = pattern[start]
    if char == "(":
        body = pattern.index(":", start) + 1 if pattern.startswith("(?", start) else start + 1
        end = _closes(pattern)[start]
        node, position = _root(pattern[body:end]), end + 1
    elif char == "[":
        position = _class_end(pattern, start)
        node = Node("wide", pattern[start:position])
    elif char == "\\":
        node, position = _escape(pattern, start)
    else:
        node, position = _character(char), start + 1
    return _repeated(node, pattern, position)


@lru_cache(1024)
def _character(char: str) -> Node:
    return Node("wide" if char in ".^$" else "literal", char)


def _escape(pattern: str, start: int) -> tuple[Node, int]:
    """Return the node of an escape: a literal where it names one character, else wide."""
    code = _CODE.match(pattern, start)
    if code:
        return Node("literal", chr(int(code[1] or code[2], 16))), code.end()
    category = _CATEGORY.match(pattern, start)
    if category:
        return Node("wide", ""), category.end()
    char = pattern[start + 1]
    if char in _CONTROLS:
        return Node("literal", _CONTROLS[char]), start + 2
    kind = {"b": "edge", "s": "blank"}.get(char, "wide" if char.isalnum() else "literal")
    return Node(kind, char), start + 2


def _repeated(node: Node, pattern: str, position: int) -> tuple[Node, int]:
    """Return a node with the quantifier behind it, if there is one."""
    if position >= len(pattern) or pattern[position] not in "?*+{":
        return node, position
    if pattern[position] == "{" and not _COUNTED.match(pattern, position):
        return node, position  # RE2 takes a brace that counts nothing for itself
    least, most, end = _quantifier(pattern, position)
    if end < len(pattern) and pattern[end] == "?":
        end += 1
    return Node(node.kind, node.text, node.parts, least, most), end


def _quantifier(pattern: str, position: int) -> tuple[int, int, int]:
    """Return least, most and end of the quantifier at position."""
    if pattern[position] != "{":
        least, most = {"?": (0, 1), "*": (0, _UNCOUNTED), "+": (1, _UNCOUNTED)}[pattern[position]]
        return least, most, position + 1
    end = pattern.index("}", position)
    low, comma, high = pattern[position + 1 : end].partition(",")
    return int(low), int(high) if high else (_UNCOUNTED if comma else int(low)), end + 1


def _class_end(pattern: str, start: int) -> int:
    """Return where a character class ends."""
    position = start + 2 if pattern[start + 1] == "^" else start + 1
    if pattern[position] == "]":
        position += 1
    while pattern[position] != "]":
        if pattern.startswith("[:", position):
            position = pattern.index(":]", position) + 2
        else:
            position += 2 if pattern[position] == "\\" else 1
    return position + 1
