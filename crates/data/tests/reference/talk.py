"""Writes tests/hostile/talk: exports of messengers that are broken, cut, of a wrong shape or made to do harm.

    python crates/data/tests/reference/talk.py

Each folder is one case; `exports.rs` says how each must end. The files are the same at each run.
"""

import json
import pathlib
import shutil
import zipfile

OUT = pathlib.Path(__file__).parent.parent / "hostile" / "talk"

ANN = {"sender_name": "Ann", "timestamp_ms": 1704189600000, "content": "hi"}
MESSENGER = {"participants": [{"name": "Ann"}, {"name": "Bob"}], "messages": [ANN]}
TELEGRAM = {"name": "Bob", "type": "personal_chat", "id": 1, "messages": []}
SAID = {"id": 1, "type": "message", "date": "2024-01-02T10:00:00", "from": "Ann", "text": "hi"}
USERS = [{"id": "U1", "team_id": "T1", "name": "ann", "profile": {"display_name": "Ann"}}]
DAY = [{"type": "message", "user": "U1", "ts": "1704190010.000100", "text": "hi"}]
DISCORD = {
    "guild": {"id": "9", "name": "Club"},
    "channel": {"id": "5", "type": "GuildTextChat", "name": "talk"},
    "messages": [],
}
LINE = "[31/12/2023, 10:00:00] Ann: hi\n"


def tweets(value):
    return "window.YTD.tweets.part0 = " + value


def entities(depth):
    text = "x"
    for _ in range(depth):
        text = [{"type": "bold", "text": "y"}, text]
    return text


def cases():
    chat = json.dumps
    yield "messenger_cut/message_1.json", chat(MESSENGER)[:-20]
    yield "messenger_deep/message_1.json", chat(MESSENGER).replace('"hi"', "[" * 5000)
    yield "messenger_no_list/message_1.json", chat({**MESSENGER, "messages": {"a": ANN}})
    yield "messenger_null_byte/message_1.json", chat(MESSENGER).replace("hi", "h\0i")
    yield "messenger_latin/message_1.json", chat(MESSENGER).replace("hi", "é").encode("latin-1")
    yield "messenger_numbers/message_1.json", chat({**MESSENGER, "messages": [{**ANN, "content": 5, "sender_name": []}]})
    yield "messenger_times/message_1.json", chat({**MESSENGER, "messages": [{**ANN, "timestamp_ms": 2**63 - 1}]})
    # The first of two files is broken; what the second one says is kept.
    yield "messenger_half/message_1.json", chat(MESSENGER)[:-1]
    yield "messenger_half/message_2.json", chat(MESSENGER)
    yield "telegram_neither/result.json", chat({"about": "", "personal_information": {}})
    yield "telegram_cut/result.json", chat({**TELEGRAM, "messages": [SAID] * 3})[:-9]
    yield "telegram_entities/result.json", chat({**TELEGRAM, "messages": [SAID, {**SAID, "text": entities(200)}]})
    yield "telegram_circle/result.json", chat({**TELEGRAM, "messages": [{**SAID, "reply_to_message_id": 1}]})
    yield "telegram_empty/result.json", chat({**TELEGRAM, "messages": [{**SAID, "type": "service"}]})
    yield "slack_users/users.json", chat(USERS)[:-1]
    yield "slack_users/general/2024-01-02.json", chat(DAY)
    yield "slack_object/users.json", chat(USERS)
    yield "slack_object/general/2024-01-02.json", chat({"messages": DAY})
    yield "slack_strangers/users.json", chat(USERS)
    yield "slack_strangers/general/2024-01-02.json", chat([{**DAY[0], "user": "U9", "text": "<@U8> <@ <<<!>|>"}, None, 7])
    yield "discord_no_list/talk.json", chat({**DISCORD, "messages": 5})
    yield "discord_authors/talk.json", chat({**DISCORD, "messages": [{"id": "1", "type": "Default", "timestamp": "x", "content": "hi <@", "author": 7}]})
    yield "discord_table/messages.csv", 'ID,Timestamp,Contents,Attachments\n1,2024-01-02 10:00:00,"open,\n'
    yield "whatsapp_bytes/_chat.txt", LINE.encode() + b"\xff\xfe\xfd" * 9 + b"\n" + LINE.encode()
    yield "whatsapp_nulls/_chat.txt", LINE + "\0" * 2000 + "\n"
    yield "whatsapp_marks/_chat.txt", "[31/12/2023, 10:00:00] Ann: " + "\u200e" * 20000 + "\n"
    yield "whatsapp_dates/_chat.txt", "[99/99/2023, 10:00:00] Ann: hi\n"
    yield "whatsapp_orders/_chat.txt", "[13/12/2023, 10:00:00] Ann: hi\n[12/13/2023, 10:00:00] Ann: no\n"
    yield "tweets_cut/tweets.js", tweets('[{"tweet": {"id_str": "1", "full_text": "a"}')
    yield "tweets_code/tweets.js", tweets("[].concat(x)")
    yield "tweets_nameless/tweets.js", tweets('[{"tweet": {"full_text": "a"}}]')
    yield "tweets_links/tweets.js", tweets(chat([{"tweet": {"id_str": "1", "full_text": "a", "entities": {"urls": [{"url": "", "expanded_url": "b" * 99}, {"url": None}]}}}]))


def zips():
    yield "zip_bomb/WhatsApp Chat - Bomb.zip", {"_chat.txt": LINE + "0" * (8 << 20)}
    yield "zip_out/WhatsApp Chat - Out.zip", {"../_chat.txt": LINE}
    yield "zip_in_zip/Chat.zip", None
    yield "zip_other/WhatsApp Chat - Text.zip", {"notes.txt": "no chat\n"}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for name, content in cases():
        path = OUT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name, files in zips():
        path = OUT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if files is not None:
            zipped(path, files)
            continue
        content = {"_chat.txt": LINE}
        for _ in range(5):
            zipped(path, content)
            content = {"Chat.zip": path.read_bytes()}


main()
