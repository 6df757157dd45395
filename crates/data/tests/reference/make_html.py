"""Writes web pages of many kinds, and what trafilatura or readability extracts from each, to ../golden/html.

    pip install trafilatura readability-lxml lxml_html_clean
    python make_html.py

The reference of a page is the tool that is better at its kind, named in REFERENCE: trafilatura (which keeps lists,
tables and posts), or readability's main part with all its text. Boilerplate is checked by the test itself: no page may
yield the words of `GONE`.
"""

import json
from pathlib import Path

import lxml.html
import readability
import trafilatura

OUT = Path(__file__).parent.parent / "golden" / "html"

SENTENCES = """
The river rises in a narrow valley where the snow lasts until the end of May.
Two hundred years ago the villages along its banks lived from the mills that it drove.
Each mill had a wheel of oak, a pair of stones from the quarry above the church, and a family that slept over the gears.
When the railway came, flour from the plain was cheaper, and one wheel after the other stood still.
The last miller kept a diary in which he noted the height of the water every morning for thirty-one years.
His granddaughter found the notebooks in a chest and gave them to the county's archive.
Hydrologists were surprised to see how well his figures agree with modern gauges.
A flood that had been thought a legend turned out to be the highest of the whole series.
The notes also tell of ice that carried away the lower bridge in the winter of the great frost.
Today a path follows the old canal, and panels explain how sluices and weirs were worked.
School classes come in spring to measure the current with oranges and a stopwatch.
They learn that the water moves fastest in the middle, just below the surface.
A small turbine now turns in the oldest of the buildings and lights forty houses.
Its owner says that the dam needs more care than the machine itself.
Fish climb past it by a ladder of nineteen basins that was built with stones of the ruin.
Counting cameras have seen trout, grayling and, for the first time in a century, a salmon.
The mayor hopes that visitors will stay longer than the hour that a walk takes.
An inn has opened in the former grain store, with seven rooms and a kitchen that bakes its own bread.
Not everybody is pleased, for the road is narrow and the car park is full on Sundays.
Still, the valley has more inhabitants this year than in any year since the war.
""".strip().splitlines()


def prose(start, count):
    return " ".join(SENTENCES[(start + i) % len(SENTENCES)] for i in range(count))


def paragraphs(start, count, each=4):
    return "\n".join(f"<p>{prose(start + i * each, each)}</p>" for i in range(count))


NAV = """<nav id="navigation" class="menu"><ul><li><a href="/">Startpage zqnav</a></li><li><a href="/news">News</a></li>
<li><a href="/shop">Shop</a></li><li><a href="/about">About us</a></li></ul></nav>"""
SIDE = """<aside class="sidebar"><h3>Most read zqside</h3><ul><li><a href="/a">Ten things about ponds</a></li>
<li><a href="/b">Why wells run dry</a></li></ul><div class="ad advertisement">Buy a boat zqad today</div></aside>"""
FOOT = """<footer id="footer"><p>Copyright zqfoot. <a href="/imprint">Imprint</a> <a href="/privacy">Privacy</a></p></footer>
<script>var zqscript = "tracking";</script>"""
GONE = ["zqnav", "zqside", "zqad", "zqfoot", "zqscript", "zqhidden", "zqstyle"]


def page(title, body, head="", lang="en", charset="utf-8"):
    return f"""<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="{charset}"><title>{title}</title>
<style>.zqstyle {{ color: red }}</style>
{head}</head>
<body>
{NAV}
{body}
{FOOT}
</body></html>
"""


PAGES = {}

PAGES["article"] = ("trafilatura", page(
    "The mills of the valley | Valley Post",
    f"""<header class="site-header"><a href="/">Valley Post</a></header>
<main><article><h1>The mills of the valley</h1>
{paragraphs(0, 3)}
<h2>What the diary says</h2>
{paragraphs(4, 2)}
<blockquote><p>{prose(8, 2)}</p></blockquote>
<h2>A turbine in the ruin</h2>
{paragraphs(12, 2)}
<div hidden>zqhidden secret words of nobody</div>
</article></main>{SIDE}""",
    """<meta name="author" content="Ada Brook"><meta name="description" content="How a river fed a valley.">
<meta property="article:published_time" content="2024-03-05T08:00:00Z"><meta property="og:site_name" content="Valley Post">
<link rel="canonical" href="https://valley.example/mills"><link rel="license" href="https://creativecommons.org/licenses/by/4.0/">
<meta name="keywords" content="river, mills">"""))

PAGES["blog"] = ("trafilatura", page(
    "Baking at the mill",
    f"""<div class="wrapper"><div class="content post"><h1 class="entry-title">Baking at the mill</h1>
<div class="entry-content">
{paragraphs(2, 2)}
<p>{prose(17, 1)} You need:</p>
<ul><li>five hundred grams of flour from the old stones</li><li>three hundred grams of lukewarm water</li>
<li>ten grams of salt and a spoon of sourdough that was fed the evening before</li></ul>
<p>{prose(10, 3)}</p>
<ol><li>mix everything and let it rest for an hour</li><li>fold the dough four times</li><li>bake it in a closed pot</li></ol>
{paragraphs(14, 2)}</div></div></div>{SIDE}"""))

PAGES["documentation"] = ("readability", page(
    "Reading gauges - gauge 2.1 documentation",
    f"""<div class="document" role="main"><div class="body"><h1>Reading gauges</h1>
<p>The package reads the files that gauges write and returns a table of times and heights. {prose(6, 2)}</p>
<h2>Opening a file</h2>
<p>Give the path of the file to the function that is called open, and ask it for rows until there are none left:</p>
<pre><code class="language-python">import gauge

series = gauge.open("river.csv")
for time, height in series:
    if height &gt; 3.5:
        print(time, height)
</code></pre>
<p>{prose(7, 2)} A row that cannot be read raises an error with the number of its line.</p>
<h2>Options</h2>
<p>The function knows the options of the following table, and refuses every other one.</p>
<table><thead><tr><th>Option</th><th>Type</th><th>Meaning</th></tr></thead>
<tbody><tr><td>unit</td><td>string</td><td>the unit of heights, metres or feet</td></tr>
<tr><td>zone</td><td>string</td><td>the time zone of the gauge's clock</td></tr>
<tr><td>gaps</td><td>boolean</td><td>whether missing hours are filled with the mean of their neighbours</td></tr></tbody></table>
<p>{prose(0, 3)}</p>
{paragraphs(9, 2)}</div></div>"""))

posts = "\n".join(
    f"""<div class="post" id="p{i}"><div class="author"><b>{who}</b></div>
<div class="message"><p>{prose(i * 3, 3)}</p><p>{prose(i * 5 + 2, 2)}</p></div></div>"""
    for i, who in enumerate(["miller7", "Otto", "riverfan", "miller7", "Greta"]))
PAGES["forum"] = ("trafilatura", page("How do you measure the current?",
                                      f"""<div id="thread"><h1>How do you measure the current?</h1>{posts}</div>"""))

items = "\n".join(f"<li>{s}</li>" for s in SENTENCES[:14])
PAGES["list"] = ("trafilatura", page("Facts about the valley", f"<main><h1>Facts about the valley</h1><ul>{items}</ul></main>"))

PAGES["product"] = ("trafilatura", page(
    "Hand mill No. 3",
    f"""<div class="product"><h1>Hand mill No. 3</h1>
<div class="description"><p>A hand mill of oak with stones from the quarry. {prose(2, 3)}</p>
<p>{prose(12, 4)}</p></div>
<h2>Properties</h2>
<table><tr><th>Weight</th><td>nine kilograms</td></tr><tr><th>Stones</th><td>granite, twelve centimetres</td></tr>
<tr><th>Wood</th><td>oak, oiled</td></tr></table>
<h2>How to use it</h2><p>{prose(15, 4)}</p><form><button>Into the basket</button></form></div>{SIDE}"""))

GERMAN = """Der Fluss entspringt in einem engen Tal, in dem der Schnee bis Ende Mai liegen bleibt.
Vor zweihundert Jahren lebten die Dörfer an seinen Ufern von den Mühlen, die er antrieb.
Jede Mühle hatte ein Rad aus Eiche, ein Paar Steine und eine Familie, die über den Zahnrädern schlief.
Als die Eisenbahn kam, war das Mehl aus der Ebene billiger, und ein Rad nach dem anderen blieb stehen.
Der letzte Müller führte ein Tagebuch, in das er jeden Morgen die Höhe des Wassers schrieb.
Seine Enkelin fand die Hefte in einer Truhe und übergab sie dem Archiv des Kreises.
Größere Überschwemmungen kannte man bis dahin nur aus Erzählungen.""".splitlines()
german = "\n".join(f"<p>{' '.join(GERMAN[i:] + GERMAN[:i])}</p>" for i in range(0, 6, 2))
PAGES["german"] = ("trafilatura", page("Die Mühlen im Tal", f"<article><h1>Die Mühlen im Tal</h1>{german}</article>", lang="de"))

RUSSIAN = """Река начинается в узкой долине, где снег лежит до конца мая.
Двести лет назад деревни на её берегах жили за счёт мельниц.
У каждой мельницы было дубовое колесо, пара жерновов и семья, которая спала над шестернями.
Когда пришла железная дорога, мука с равнины стала дешевле, и колёса остановились одно за другим.
Последний мельник каждое утро записывал в дневник уровень воды.
Его внучка нашла тетради в сундуке и передала их в архив.""".splitlines()
russian = "\n".join(f"<p>{' '.join(RUSSIAN[i:] + RUSSIAN[:i])}</p>" for i in range(0, 6, 2))
PAGES["legacy"] = ("trafilatura", page("Мельницы долины", f"<article><h1>Мельницы долины</h1>{russian}</article>", lang="ru",
                                       charset="windows-1251"))

JAPANESE = """川は五月の終わりまで雪が残る狭い谷に源を発します。二百年前、岸辺の村々は川が動かす水車で暮らしていました。
どの水車小屋にも樫の車輪と一組の石があり、歯車の上で家族が眠っていました。鉄道が来ると平野の小麦粉のほうが安くなり、車輪は次々に止まりました。
最後の粉屋は毎朝の水位を日記に書きました。孫娘が箱の中からその帳面を見つけ、郡の資料館に渡しました。""".splitlines()
PAGES["japanese"] = ("trafilatura", page("谷の水車", "<article><h1>谷の水車</h1>" + "".join(f"<p>{line}</p>" for line in JAPANESE * 2)
                                         + "</article>", lang="ja"))

PAGES["soup"] = ("trafilatura", f"""<html><head><title>The old page</title>
<body bgcolor=white><center><h1>The old page</center></h1>
<p>{prose(0, 4)}
<p>{prose(4, 4)}<br><br>{prose(8, 3)}
<b><i>{prose(11, 1)}</b></i>
<p><font color=red>{prose(12, 3)}</font>
<ul><li>{prose(15, 1)}<li>{prose(16, 1)}<li>{prose(17, 1)}</ul>
<p>{prose(18, 2)} Fish &amp; chips, 3 < 4, caf&eacute; &copy &nbsp; end.
""")


def reference(tool, raw, html):
    if tool == "trafilatura":
        return trafilatura.extract(raw, include_comments=False, include_tables=True, favor_recall=True, include_formatting=False)
    # Joined by spaces: text_content would glue the cells of a table together.
    return " ".join(lxml.html.fromstring(readability.Document(html).summary()).itertext())


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (tool, html) in PAGES.items():
        charset = "windows-1251" if name == "legacy" else "utf-8"
        raw = html.encode(charset)
        (OUT / f"{name}.html").write_bytes(raw)
        (OUT / f"{name}.txt").write_text(reference(tool, raw if name != "soup" else html, html).strip() + "\n")
    about = {"gone": GONE, "reference": {name: tool for name, (tool, _) in PAGES.items()}}
    (OUT / "about.json").write_text(json.dumps(about, indent=1) + "\n")


main()
