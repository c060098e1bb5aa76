"""Letters that look like Latin ones: the data of normalise, nothing else.

Shape: GROUPS maps an ASCII letter to the single case-folded characters that are read as it.
Source: Unicode confusables.txt as packed in PyPI confusable-homoglyphs 3.3.1 (MIT), case-folded, letters of scripts
that pass for Latin only (no CJK, Indic or Arabic strokes, which would garble honest text); thirty-odd added by hand
where the table knows no pair but a reader does (Greek epsilon, Cyrillic ve ...).
Never: digits or punctuation; several characters at once.
"""

GROUPS = {
    "a": "ɑαаᎪꓮ𐊠",
    "b": "ƅβвьᏏᏴꓐꞵ𐊂𐊡𐌁",
    "c": "σсᏟᴄⲥꓚ𐊢𐌂𐐽𐔜",
    "d": "đдԁᎠᏧꓒꓓ",
    "e": "εеєҽᎬ€ⴹꓰꬲ𐊆𑣆𑣎",
    "f": "ϝքẝꓝꞙꬵ𐊇𐊥𐔥𑣂",
    "g": "ƍɡԍցᏀᏳᶃꓖ",
    "h": "ħηнһհᎻᏂⲏꓧ𐋏",
    "i": "ıɩɪιіӏᎥꙇ𑣃",
    "j": "ʝϳјᎫꓙ",
    "k": "κкᏦⲕꓗ𐔘",
    "l": "£łǀᏞⲓⳑⵏꓡꓲ𐊊𐌉𐑃𐔦𑣒",
    "m": "μϻмᎷⲙꓟ𐊰𐌑",
    "n": "νпոռⲛꓠ𐔓",
    "o": "øοоօᴏᴑⲟⵔꓳꬽ𐊒𐊫𐐬𐓪𐔖𑣈𑣕𑣗",
    "p": "ρрᏢⲣꓑ𐊕",
    "q": "ԛգզⵕ",
    "r": "ʀгᎡᎱᏒᴦⲅꓣꭇꭈ𐓜",
    "s": "ƽѕտᏕᏚꓢꜱ𐊖𐑈𑣁",
    "t": "ŧτтᎢⲧꓔ𐊗𐊱𐌕𑣜",
    "u": "ʋυиսᴜꓴꞟꭎꭒ𐓶𑣘",
    "v": "ѵᏙᴠⴸꓦ𐔝𑣀",
    "w": "ɯωѡԝաᎳᏔᴡꓪ",
    "x": "χхⲭⵝꓫꭓ𐊐𐊴𐌗𐔧",
    "y": "ɣʏγуүᎩᎽᶌỿⲩꓬꭚ𐊲𑣄",
    "z": "ζᏃᴢꓜ𑣉",
}
