"""A small MediaWiki dump of made-up pages, and the text that mwparserfromhell takes out of each.

    pip install mwparserfromhell
    python crates/data/tests/reference/wikipedia.py

writes golden/wikipedia/pages.xml.bz2 and expected.json beside this folder. Links to files and categories are taken out
before: strip_code() leaves their parameters in the text, which no reader of an article sees. It leaves formulas out,
which readers do see: they are written as Markdown has them before it runs.
"""

import bz2
import contextlib
import json
import pathlib
from xml.sax.saxutils import escape

import mwparserfromhell

OUT = pathlib.Path(__file__).parent.parent / "golden" / "wikipedia"

PAGES = {
    "Lighthouse of Varn": """{{Infobox lighthouse
| name = Varn
| height = {{convert|41|m|ft}}
| built = 1874
}}
[[File:Varn.jpg|thumb|upright=1.2|The tower seen from [[Varn Bay|the bay]]]]
The '''Lighthouse of Varn''' is a [[lighthouse]] on the western cape of [[Varn (island)|Varn]].<ref name="h">{{cite book|title=Lights|year=1990}}</ref> It was built in 1874 &ndash; after three wrecks &mdash; and is 41&nbsp;metres high.<ref name="h" />

== History ==
The first light was an ''open fire'' kept by ''two'' families. In 1901 a '''''rotating lens''''' replaced it.

=== The storm of 1911 ===
A storm broke the lantern.<!-- source? --> Repairs took [http://example.org/repairs eleven weeks].

== Keepers ==
* [[Ada Holm]], 1874–1890
* Jon Reed, 1890–1911
** his son Tom, from 1905
* [[Mara Lind|Mara]] and Ole Lind

# lit at dusk
# wound every four hours
# put out at dawn

[[Category:Lighthouses]]
[[de:Leuchtturm Varn]]
""",
    "Rivers of Ost": """The rivers of '''Ost''' all flow north.

{| class="wikitable"
! River !! Length !! Mouth
|-
| [[Alba]] || 120 km || [[North Sea]]
|-
| Brenn || 80 km || Alba
|-
| Cale || 64 km || Brenn
|}

The longest of them, the [[Alba]], freezes in most winters.
""",
    "Weaving": """'''Weaving''' is the craft of crossing two sets of threads: the [[warp]] and the [[weft]].

; Warp
: the threads that are held
; Weft
: the thread that crosses them

A plain weave lifts every second thread. A [[twill]] moves the pattern by one thread in each row, which gives the diagonal lines of {{lang|fr|denim}} cloth.

 over under over under
 under over under over

Looms were first upright; see also [[History of the loom#Early looms|early looms]].
""",
    "Number of paths": """A path through a grid of ''n'' by ''m'' squares that only goes right or up makes {{math|n + m}} steps. There are few short ones and many long ones.

== Counting ==
Each path is a choice of which steps go up. On a grid of two by two squares there are six paths<ref>Counted by hand.</ref>, and on three by three squares there are twenty.

The rule is written as <nowiki>[[right]] + [[up]]</nowiki> in some older books.
""",
    "Tea in Marell": """[[Image:Teapot.png|right|120px|A pot]]
'''Tea''' came to [[Marell]] with sailors in the 17th century.{{citation needed|date=May 2019}} It is drunk with salt in the mountains, with milk on the coast, and with nothing in the capital.

==Serving==
The host pours the first cup for the oldest guest. Cups are small (about 60&nbsp;ml), have no handles, and are filled three times: ''one for the road, one for the house, one for the rain''.

==See also==
* [[Coffee in Marell]]
* [[Salt]]

==References==
<references />
{{reflist|2}}
""",
    "Élodie Brun": """'''Élodie Brun''' (12 March 1899 – 3 June 1978) was a French [[cartographer|map maker]]. She drew the first complete map of the [[Causse Noir]] and wrote ''Les chemins perdus''.<ref>''Gazette'', 1931.</ref>

== Life ==
Born in [[Millau]], she learned surveying from her uncle. "A map," she wrote, "is a promise to come back." In 1931 she received the prize of the [[Société de géographie]].

== Works ==
# ''Carte du Causse Noir'' (1929)
# ''Les chemins perdus'' (1931)
# ''Atlas des sources'' (1950)
""",
    "東の灯台": """'''東の灯台'''は、[[岬]]の先に立つ白い灯台である。[[1874年]]に建てられた。

== 歴史 ==
最初の灯りは焚き火であった。のちに[[レンズ|大きなレンズ]]が置かれた。
""",
    "Salt roads": """{{short description|Old trade routes}}
{{Use British English|date=June 2020}}
The '''salt roads''' were trade routes by which [[salt]] was carried inland. Mules carried two blocks each, and a caravan had up to three hundred animals.

<div style="text-align:center">The road was closed from November to March.</div>

Tolls were paid in salt: one block in forty at the bridge, one in sixty at the pass.<br />The last caravan crossed in 1932.

<gallery>
File:Mule.jpg|A mule
File:Pass.jpg|The pass
</gallery>

{{Commons category|Salt roads}}
[[Category:Trade routes|Salt]]
""",
    "Chess in Ilmen": """'''Chess in Ilmen''' is played with a rule of its own: a [[pawn (chess)|pawn]] that reaches the last row waits for a turn before it becomes a [[queen (chess)|queen]].

{{Quote|A pawn should catch its breath.|Old saying}}

The rule is first described in a letter of 1702.<ref group="note">The letter is lost.</ref> Players from elsewhere find it slow; players from Ilmen find other chess '''hasty'''. It is still used in the [[Ilmen Open]], held each year in [https://example.org/ilmen the old town hall].
""",
    "Grey heron": """The '''grey heron''' (''Ardea cinerea'') is a [[wading bird]] of the heron family. It stands up to a metre tall, weighs between one and two kilograms, and feeds on fish and frogs, which it hunts alone and without moving.

===Voice===
Its call is a loud, harsh ''fraaank''.

===Flight===
It flies slowly, with its neck pulled back; [[Crane (bird)|cranes]] and [[stork]]s stretch theirs out.
""",
    "Mean of a sample": r"""The '''mean''' of <math>n</math> numbers <math>x_1, \dots, x_n</math> is their sum divided by how many they are:

<math display="block">
\bar{x} = \frac{1}{n} \sum_{i=1}^{n} x_i
</math>

If <math>a &lt; b</math>, the mean of both lies between them.<ref><math>a = b</math></ref>

{| class="wikitable"
|+ style="text-align:left" | Means of small [[Sample (statistics)|samples]]
|-
! Sample !! Mean
|-
| 1, 2, 3 || <math>2</math>
|-
| 2, 5 || <math>\tfrac{7}{2}</math>
|}

In markup a formula stands between <nowiki><math> and </math></nowiki>.
""",
}

OTHERS = [
    ("Varn lighthouse", 0, "#REDIRECT [[Lighthouse of Varn]]", True),
    ("Talk:Weaving", 1, "Is this right? ~~~~", False),
    ("Template:Short description", 10, "{{{1}}}", False),
]

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>enwiki</dbname>
    <base>https://en.wikipedia.org/wiki/Main_Page</base>
    <namespaces><namespace key="0" /><namespace key="1">Talk</namespace></namespaces>
  </siteinfo>
"""


def page(number, title, namespace, text, redirect=False):
    target = '<redirect title="Lighthouse of Varn" />' if redirect else ""
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{namespace}</ns>
    <id>{number}</id>
    {target}
    <revision>
      <id>{1000 + number}</id>
      <timestamp>2025-03-{number:02}T10:00:00Z</timestamp>
      <contributor><username>Writer {number}</username><id>7</id></contributor>
      <model>wikitext</model>
      <text bytes="{len(text.encode())}" xml:space="preserve">{escape(text)}</text>
    </revision>
  </page>
"""


def expected(text):
    code = mwparserfromhell.parse(text)
    for formula in list(code.filter_tags(matches=lambda tag: str(tag.tag) == "math")):
        display = "$$" if formula.has("display") else "$"
        inside = " ".join(str(formula.contents).split()).replace("&lt;", "<")
        with contextlib.suppress(ValueError):  # One in a reference, which is left out, is not found.
            code.replace(formula, f"{display}{inside}{display}")
    for link in list(code.filter_wikilinks()):
        if str(link.title).split(":")[0].lower() in ("file", "image", "category", "de"):
            code.remove(link)
    return code.strip_code()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    pages = [(title, 0, text, False) for title, text in PAGES.items()]
    pages = pages[:4] + OTHERS + pages[4:]
    bodies = [page(number, *entry) for number, entry in enumerate(pages, 1)]
    # Two streams, as the dumps of Wikipedia are packed.
    half = len(bodies) // 2
    streams = [HEAD + "".join(bodies[:half]), "".join(bodies[half:]) + "</mediawiki>\n"]
    packed = b"".join(bz2.compress(stream.encode()) for stream in streams)
    (OUT / "pages.xml.bz2").write_bytes(packed)
    texts = {title: expected(text) for title, text in PAGES.items()}
    (OUT / "expected.json").write_text(json.dumps(texts, ensure_ascii=False, indent=1) + "\n")


main()
