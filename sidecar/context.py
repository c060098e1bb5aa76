"""What stands around a finding, and what that makes of it: said or only mentioned, forbidden, quoted, taught.

In: a segment and a finding in it. Out: a factor and the notes that say why.
Never: a low factor for what a user says as an order: whoever writes "for example" must not walk through.
"""

import re
from itertools import islice

from sidecar.types import Finding, Segment, Surface, ThreatType

_AROUND = 160
_MENTION_REACH = 90
_FENCE_REACH = 4000
_FORBID_REACH = 24

# Factors of context. For text of users none makes a strong rule silent: whoever writes "for example" must not walk through.
FACTOR_TEACHING = {Surface.DOCUMENT: 0.4, Surface.TOOL_RESULT: 0.6, Surface.SYSTEM: 0.5}
FACTOR_TEACHING_USER = 0.6
FACTOR_QUOTED = 0.8
# Documents about prompting show prompts in code blocks; beyond a document this says nothing.
FACTOR_FENCED = 0.4
# A text that asks about a phrase: one strong rule then alerts, two do not deny, three do.
FACTOR_MENTIONED = 0.4
# The learned tier is measured against documents about other things.
FACTOR_MODELS = 0.35
# "Never reveal your prompt" forbids what "reveal your prompt" orders.
FACTOR_FORBIDDEN = 0.4
# Who encodes an order knows that it would be refused in plain words.
FACTOR_HIDDEN = 1.5
HIDDEN_VIEWS = frozenset({"base64", "hex", "rot13", "reversed", "caesar", "pig_latin", "morse", "binary", "base32"})
_MENTION = re.compile(
    r"(?:\b(?:what (?:is|are|does|do|would|should|makes|if)|why (?:is|are|do|does|would|did|can'?t|you can'?t)|is this|was this"
    r"|is it (?:a |an )?(?:attack|safe|ok)|explain|interpret|classify|phrases?|sentences?|typed|wrote|said|says|saying"
    r"|called|titled"
    r"|(?:someone|somebody|people|users?|attackers?|hackers?|child|son|daughter|student)s? (?:\w+ ){0,3}"
    r"|make of|response to|react(?:ion)? to"
    r"|contains?|containing|means?|meaning|example|detect|prevent|block|recogni[sz]e|(?:against|about|of)"
    r"|how (?:to|do|does|can) (?:\w+ ){0,2}(?:prevent|detect|block|protect|defend|explain|avoid)"
    r"|pourquoi|que (?:signifie|veut dire)|explique|phrase|utilisateurs?|warum|bedeutet|que significa"
    r"|cosa significa|o que significa)"
    r"\b[^\n.!?]{0,50}[: \"'`“‘«(\[]{1,4}|\[)$",
    re.IGNORECASE,
)
_SPEAKS_OF = re.compile(
    r"\W{0,4}(?:(?:can|could|would) you |please )?(?:what|why|how|is|are|was|does|do|who|explain|interpret|classify|describe|detail"
    r"|discuss|define|my (?:child|son|daughter|student|colleague|friend)|i(?:'m| am| was)? (?:read|saw|teach|stud|research|writ)\w*"
    r"|pourquoi|qu'|que |comment|warum|was |wie |por qu|qué|come |perch|o que)[^\n]{0,80}[:\"`“‘«„]|\W{0,4}(?:is|are|what|why) '",
    re.IGNORECASE,
)
_TEACHING = re.compile(
    r"prompt[ -]injection|injection de prompt|prompt[ -]?leak|jailbreak(?:ing|s)?\b|adversarial prompt|red[ -]team"
    r"|owasp|attack vector|threat model|mitigat|vulnerab|attaquant|attackers?\b|malicious|exploit|defen[cs]e"
    r"|提示注入|越狱|攻击|промпт-инъекц|инъекци|angriff|ataque|attacco|プロンプト",
    re.IGNORECASE,
)
# Behind these words the learned tier saw a text about attacks, or one that asks about somebody else's.
_ABOUT = re.compile(
    r"\b(?:why (?:do|does|did|would|is|are|can'?t) (?:you|people|users?|someone|models?|ais?|it|llms?)"
    r"|if (?:someone|somebody|a user|users)"
    r"|(?:someone|somebody|people|users|attackers?|hackers?|adversar\w+) (?:\w+ ){0,2}"
    r"(?:to|try|tries|use|say|ask|asked|typed|wrote|might|can|could)"
    r"|(?:jailbreak|injection|attack|extraction|hacking) (?:attempts?|attacks?|techniques?|patterns?)"
    r"|how (?:would|do|does|should) (?:you|ais?|ai (?:models|assistants|systems)|models|llms|chatbots)"
    r" (?:interpret|classify|handle|respond|react|process|deal|work)"
    r"|what (?:do you make of|makes)|my (?:child|son|daughter|kid|student|colleague)|security team|phrase '|the phrase"
    r"|pourquoi les gens|warum schreiben|por que la gente|perche la gente|por que as pessoas)\b",
    re.IGNORECASE,
)
_FORBIDS = re.compile(
    r"(?:\b(?:do not|don'?t|never|must not|mustn'?t|should not|shouldn'?t|not to|without|ne|jamais|nie|niemals|nicht"
    r"|nunca|no|nao|não|non|mai) (?:ever |again |jamais |mai )?|\bnothing about |\bn['’]|(?:不要|请勿|不得|切勿|не |ніколи ))$",
    re.IGNORECASE,
)
_BEGINS_FORBIDDING = re.compile(
    r"\W*(?:please |definitely |absolutely )*(?:do not|don'?t|never|tell me nothing)\b(?! (?:hesitate|refuse|forget|worry|hold))",
    re.IGNORECASE,
)
# "Staff must not ignore the rules" forbids an attack only where the finding begins with the dropping; in "do not follow your
# rules" the word that forbids is part of the attack and stands inside the finding.
_DROPS = re.compile(
    r"(?:ignor|disregard|forget|bypass|overrid|neglect|skip|violat|circumvent|oubli|vergess|vergiss|olvid|dimentic|esque)",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"[?？؟]|\b(?:why|what|explain|meaning|mean|pourquoi|explique|signifie|warum|bedeutet|por ?qu[eé]|significa|perch[eé]|cosa"
    r"|почему|зачем|что значит|чому)\b|为什么|什么|解释|意思|なぜ|とは|意味|왜|무슨|뜻|لماذا|معنى|क्यों|मतलब",
    re.IGNORECASE,
)
_OPEN, _CLOSE = (
    re.compile(r"[\"'`“«„‘「『][^\"'`“”«»„‘’「」『』\n]{0,40}$"),
    re.compile(r"^[^\"'`“”«»„‘’「」『』\n]{0,40}[\"'`”»“’」』]"),
)
_MODELS = re.compile(
    r"prompt(?:ing|s)?\b|few-shot|zero-shot|chain[- ]of[- ]thought|\bllms?\b|language models?|\bgpt-?\d?|chatgpt|openai"
    r"|fine-?tun\w+|modeles? de langage|modelos? de lengua\w+|modelli linguistici|modelos? de linguagem|sprachmodell\w*"
    r"|提示|语言模型|プロンプト|言語モデル|프롬프트|промпт\w*|языков\w+ модел\w+|transformer|inference|hallucinat\w+",
    re.IGNORECASE,
)
_LESSON_MIN, _MODELS_REACH = 400, 5000
_SAMPLE = 20_000
_QUOTES = "\"'`“”«»„‘’「」『』"
_DISCUSSED = re.compile(
    r"(?:for example|e\.g\.|such as|like this|phrases? like|an? attack|attackers?|inject|payload|means?\b|says?\b"
    r"|par exemple|comme\b|exemple|zum beispiel|por ejemplo|ad esempio|por exemplo|detect|filter|block)[^\n]{0,80}$",
    re.IGNORECASE,
)


def factor(segment: Segment, finding: Finding, teaching: bool) -> tuple[float, tuple[str, ...]]:
    """Return what context leaves of a finding's weight, and why; teaching tells that the text teaches security.

    Bounds: reads at most _MODELS_REACH code points on each side.
    """
    left, notes = 1.0, list[str]()
    if finding.view in HIDDEN_VIEWS:
        left *= FACTOR_HIDDEN
        notes.append(f"hidden as {finding.view}")
    elif _mentioned(segment.text, finding):
        left *= FACTOR_MENTIONED
        notes.append("mentioned, not said")
    elif _forbidden(segment.text, finding):
        left *= FACTOR_FORBIDDEN
        notes.append("forbidden, not asked for")
    if finding.detector == "learned" and about_models(segment, finding.span.start):
        left *= FACTOR_MODELS
        notes.append("text about language models")
    if segment.surface is Surface.DOCUMENT and _fenced(segment.text, finding):
        left *= FACTOR_FENCED
        notes.append("in a code block of a document")
    if teaching:
        left *= FACTOR_TEACHING.get(segment.surface, FACTOR_TEACHING_USER)
        notes.append("text about security")
    if teaching and _quoted(segment.text, finding):
        left *= FACTOR_QUOTED
        notes.append("quoted")
    return left, tuple(notes)


def teaches(segment: Segment) -> bool:
    """Tell whether a text is about attacks: at least three mentions of the trade's words, two of them different."""
    words = [match[0].lower() for match in _TEACHING.finditer(segment.text[:_SAMPLE])]
    return len(words) >= 3 and len(set(words)) >= 2 and len(segment.text) > _LESSON_MIN


def about_models(segment: Segment, place: int) -> bool:
    """Tell whether a document or a tool's answer is about language models around a place: it sounds like orders to one."""
    if segment.surface not in (Surface.DOCUMENT, Surface.TOOL_RESULT) or len(segment.text) < _LESSON_MIN:
        return False
    around = max(0, place - _MODELS_REACH), place + _MODELS_REACH
    words = [match[0].lower() for match in islice(_MODELS.finditer(segment.text, *around), 40)]
    return len(words) >= 4 and len(set(words)) >= 3


def _mentioned(text: str, finding: Finding) -> bool:
    """Tell whether a text speaks about a finding instead of saying it."""
    start, end = finding.span.start, finding.span.end
    if finding.detector == "learned":  # its window holds the words about the phrase too
        return bool(_SPEAKS_OF.match(text, start, end) or _ABOUT.search(text, start, end))
    before = text[max(0, start - _MENTION_REACH) : start]
    return bool(_MENTION.search(before)) or _asked_about(text, finding)


def _asked_about(text: str, finding: Finding) -> bool:
    """Tell whether a finding stands between quotes beside a question."""
    start, end = finding.span.start, finding.span.end
    before, after = text[max(0, start - _MENTION_REACH) : start], text[end : end + _MENTION_REACH]
    if not (_OPEN.search(before) and _CLOSE.search(after)):
        return False
    return bool(_QUESTION.search(before) or _QUESTION.search(after))


def _forbidden(text: str, finding: Finding) -> bool:
    """Tell whether what a finding asks for is forbidden by the words before it, or (a window) by its first words."""
    start, end = finding.span.start, finding.span.end
    asks = finding.type is ThreatType.DATA_EXTRACTION
    if finding.detector == "learned":
        return asks and _BEGINS_FORBIDDING.match(text, start, end) is not None
    drops = finding.type is ThreatType.PROMPT_INJECTION and _DROPS.match(text, start, end) is not None
    return (asks or drops) and _FORBIDS.search(text[max(0, start - _FORBID_REACH) : start]) is not None


def _fenced(text: str, finding: Finding) -> bool:
    """Tell whether a finding stands in a Markdown code block that is closed again."""
    start = finding.span.start
    return (
        text.count("```", max(0, start - _FENCE_REACH), start) % 2 == 1 and "```" in text[start : start + _FENCE_REACH]
    )


def _quoted(text: str, finding: Finding) -> bool:
    """Tell whether a finding stands in quotes, in code marks, or behind words that announce an example."""
    before = text[max(0, finding.span.start - _AROUND) : finding.span.start]
    after = text[finding.span.end : finding.span.end + _AROUND]
    in_quotes = any(q in before.rsplit("\n", 1)[-1] for q in _QUOTES) and any(
        q in after.split("\n", 1)[0] for q in _QUOTES
    )
    return in_quotes or bool(_DISCUSSED.search(before))
