"""Writes subtitles, well formed and not, and what webvtt-py, srt and pysrt read in them.

    python3 -m venv venv && venv/bin/pip install webvtt-py==0.6.0 srt==3.5.3 pysrt==1.1.2
    venv/bin/python crates/data/tests/reference/subtitle.py
"""

import html
import json
import re
from pathlib import Path

import pysrt
import srt
import webvtt

FOLDER = Path(__file__).parent.parent / "golden" / "subtitle"

SRT = {
    "plain": "1\n00:00:01,000 --> 00:00:03,500\nHello there.\nHow are\n\n2\n00:00:03,600 --> 00:00:05,000\nyou today? I am\n\n"
    "3\n00:00:05,100 --> 00:00:06,000\nfine.\n",
    # A byte order mark, CRLF, numbers from 7 and down, points, an overlap, tags, coordinates.
    "odd": "\ufeff7\r\n00:00:01.000 --> 00:00:04.000 X1:0 X2:9\r\n<i>One</i> thing,\r\n\r\n5\r\n00:00:03,000 --> 00:00:06,000\r\n"
    "{\\an8}and <b>another</b>.\r\n\r\n6\r\n01:00:00,250 --> 01:00:02,000\r\nÉté 水 🌊\r\n",
    "numbers": "1\n00:00:01,000 --> 00:00:02,000\n42\n\n2\n00:00:02,000 --> 00:00:03,000\nIt costs 3.50 at\nMr. Smith's.\n",
}

VTT = {
    "plain": "WEBVTT - a talk\nKind: captions\nLanguage: en\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:fred\nwidth:40%\n\n"
    "NOTE two lines\nof a note\n\nintro\n00:01.000 --> 00:03.500 align:start position:0%\n<v Ann>Hello &amp; welcome</v>\n\n"
    "NOTE\nanother\n\n00:00:03.500 --> 00:00:05.000\n<v.loud Bob>to the <i.foreign>show</i>!\n\n"
    "12\n00:00:05.000 --> 00:00:07.000 line:-1\nNow <00:00:05.500><c>we</c> <00:00:06.000><c>start</c>.\n\n"
    "01:00:00.000 --> 01:00:01.000\n1 &lt; 2&nbsp;&gt; 0\n",
}


def plain(text):
    return re.sub(r"<[^>]*>|\{\\[^}]*\}", "", text)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in SRT.items():
        path = FOLDER / f"{name}.srt"
        path.write_bytes(text.encode("utf-8"))
        cues = [[s.start.total_seconds(), s.end.total_seconds(), plain(s.content)] for s in srt.parse(text.lstrip("\ufeff"))] \
            if name != "odd" else \
            [[s.start.ordinal / 1000, s.end.ordinal / 1000, plain(s.text)] for s in pysrt.from_string(text.lstrip("\ufeff"))]
        path.with_suffix(".srt.json").write_text(json.dumps(cues, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for name, text in VTT.items():
        path = FOLDER / f"{name}.vtt"
        path.write_text(text, encoding="utf-8")
        cues = [[c.start_in_seconds + c.start_time.milliseconds / 1000, c.end_in_seconds + c.end_time.milliseconds / 1000,
                 html.unescape(plain(c.text)).replace("\xa0", " "), c.voice] for c in webvtt.read(path)]
        path.with_suffix(".vtt.json").write_text(json.dumps(cues, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


main()
