"""Writes messages and mailboxes, and what Python's email and mailbox read in them, to ../golden/mail; malicious ones to
../hostile/mail.

    python make_mail.py
"""

import email
import email.policy
import json
import mailbox
import random
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

TESTS = Path(__file__).parent.parent
OUT, HOSTILE = TESTS / "golden" / "mail", TESTS / "hostile" / "mail"

PLAIN = "Dear Otto,\n\nthe river is high again. Größere Schäden gibt es nicht, but the lower path is closed.\n\nAda\n"
HTML = """<html><head><style>p { color: red }</style></head><body><h1>News of the valley</h1>
<p>The <b>turbine</b> runs again; see <a href="https://valley.example/">our page</a>.</p>
<ul><li>first the dam</li><li>then the ladder for fish</li></ul></body></html>"""


def message(subject, number, **headers):
    made = EmailMessage(policy=email.policy.SMTP)
    made["Subject"] = subject
    made["From"] = headers.get("sender", "Ada Brook <ada@valley.example>")
    made["To"] = headers.get("to", "otto@mill.example")
    made["Date"] = f"Tue, 05 Mar 2024 08:09:{number:02} +0100"
    made["Message-ID"] = f"<m{number}@valley.example>"
    return made


def quoted():
    made = message("Größe der Mühle – 谷の水車", 1, sender="Jörg Bäcker <joerg@mill.example>")
    made["In-Reply-To"] = "<m0@valley.example>"
    made.set_content(PLAIN, cte="quoted-printable")
    made["Content-Language"] = "de"
    return made


def base64():
    made = message("Base64", 2, to="Otto <otto@mill.example>, Greta <greta@mill.example>")
    made.set_content(PLAIN * 3, cte="base64")
    return made


def latin():
    made = message("Old encoding", 3)
    made.set_content("Déjà vu: à la crème brûlée, naïve façade.\n", charset="iso-8859-1", cte="8bit")
    return made


def japanese():
    made = message("水車", 4)
    made.set_content("二百年前、岸辺の村々は川が動かす水車で暮らしていました。\n", charset="shift_jis", cte="base64")
    return made


def alternative():
    made = message("Two forms", 5)
    made.set_content("The plain form of the news.\n")
    made.add_alternative(HTML, subtype="html")
    return made


def page():
    made = message("Only HTML", 6)
    made.set_content(HTML, subtype="html")
    return made


def attachments():
    made = message("Files", 7)
    made.set_content("Two files and a message are attached.\n")
    made.add_attachment(b"\0\1\2" * 50, maintype="application", subtype="octet-stream", filename="Höhen 2024.bin")
    made.add_attachment("a,b\n1,2\n", subtype="csv", filename="heights.csv")
    made.add_attachment(quoted())
    return made


MESSAGES = [quoted, base64, latin, japanese, alternative, page, attachments]


def expected(parsed):
    body = parsed.get_body(("plain", "html"))
    text = body.get_content()
    if body.get_content_subtype() == "html":
        text = ("# News of the valley\n\nThe turbine runs again; see our page.\n\n- first the dam\n- then the ladder for fish")

    def people(name):
        return [str(address) for address in parsed[name].addresses] if parsed[name] else []

    names = [part.get_filename() or part.get_content()["Subject"] for part in parsed.iter_attachments()]
    return {"text": text.replace("\r\n", "\n").strip(), "subject": str(parsed["Subject"]), "author": people("From"), "to": people("To"),
            "date": parsed["Date"].datetime.isoformat(), "id": parsed["Message-ID"].strip("<>"),
            "in_reply_to": (parsed["In-Reply-To"] or "").strip("<>"), "attachments": names}


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def box():
    """A mailbox as Python writes it, and its messages as Python reads them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box"
        made = mailbox.mbox(path)
        raws = [make().as_bytes() for make in MESSAGES]
        raws.append(b"Subject: Quoted\nMessage-ID: <q@x>\nFrom: a@b.example\nDate: Tue, 05 Mar 2024 08:09:10 +0100\n\nFrom the hill one sees far.\n>From there too.\n")
        for raw in raws:
            one = mailbox.mboxMessage(raw)
            one.set_from("ada@valley.example", time.gmtime(1709622550))
            made.add(one)
        made.flush()
        read = [expected(parse(one.as_bytes())) for one in mailbox.mbox(path)]
        # Python quotes `From ` as mboxo does and never takes the mark away; the text is the one that was put in.
        read[-1]["text"] = "From the hill one sees far.\nFrom there too."
        return path.read_bytes(), read


def hostile():
    nested = "Subject: deep\n" + "".join(f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n" for i in range(1000)) + "\nend\n"
    yield "multiparts.eml", nested
    yield "messages.eml", "Subject: deep\n" + "Content-Type: message/rfc822\n\n" * 1200 + "end"
    yield "base64.eml", "Subject: b\nContent-Transfer-Encoding: base64\n\n" + "!\xff=a?" * 4000
    yield "header.eml", "Subject: " + "x" * 40000 + "\n\nbody\n"
    yield "words.eml", "Subject: " + "=?utf-8?B?" * 4000 + "\n\nbody\n"
    yield "headers.eml", "A: b\n" * 8000 + "\nbody\n"
    yield "empty_parts.eml", "Subject: p\nContent-Type: multipart/mixed; boundary=b\n\n" + "--b\n" * 10000
    yield "nulls.eml", "Subject: a\0b\n\nc\0d\n"
    yield "no_header.eml", "\n\nOnly words, no header at all.\n"
    yield "no_from.mbox", "Subject: x\n\nbody\n"
    yield "only_from.mbox", "From a@b Tue Mar  5 08:09:10 2024\n" * 900
    yield "binary.mbox", "\x00\x01\x02\xff" * 2000


def main():
    random.seed(4)  # the boundaries
    OUT.mkdir(parents=True, exist_ok=True)
    HOSTILE.mkdir(parents=True, exist_ok=True)
    about = {}
    for make in MESSAGES:
        raw = make().as_bytes()
        (OUT / f"{make.__name__}.eml").write_bytes(raw)
        about[make.__name__] = expected(parse(raw))
    raw, about["box"] = box()
    (OUT / "box.mbox").write_bytes(raw)
    (OUT / "about.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    for name, text in hostile():
        (HOSTILE / name).write_bytes(text.encode("latin-1"))


main()
