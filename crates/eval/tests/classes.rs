//! Every standard class against outputs for which it holds and outputs that only look so.

use finetune_data::Origin;
use finetune_eval::{
    Classes, Finish, Outcome,
    analysis::{Check, Definition, Knowledge, Vocabulary},
};

/// A text of the field, whose words are known.
const KNOWN: &str = "the model trains an adapter of low rank with a learning rate and merges the weights into the base \
    model before training continues with separate batches until the gradient is definitely small";

/// Question, reference, output.
type Case = (&'static str, &'static str, &'static str);

fn outcome((input, reference, output): Case) -> Outcome {
    Outcome::new(Origin::new("items.jsonl", 7), input, reference, output)
}

fn knowledge() -> Knowledge {
    Knowledge::new(Vocabulary::of_texts([KNOWN]).with_common_english())
}

/// Whether the class of this name holds, with its evidence.
fn evidence(class: &str, outcome: &Outcome) -> Vec<String> {
    let classes = Classes::standard(knowledge());
    let found = classes.iter().find(|known| known.name == class);
    let found = found
        .unwrap_or_else(|| panic!("no class {class}"))
        .find(outcome);
    for finding in &found {
        if let Some(span) = finding.span.clone() {
            let text = outcome.output.get(span.clone());
            assert!(
                text.is_some_and(|text| !text.is_empty()),
                "{class}: {span:?} in {:?}",
                outcome.output
            );
        }
        assert!(
            !finding.rule.is_empty() && !finding.detail.is_empty(),
            "{finding:?}"
        );
    }
    found
        .into_iter()
        .map(|finding| format!("{}: {}", finding.rule, finding.detail))
        .collect()
}

fn check(class: &str, holds: &[Case], looks_so: &[Case]) {
    check_ended(class, None, holds, looks_so);
}

fn check_ended(class: &str, finished: Option<Finish>, holds: &[Case], looks_so: &[Case]) {
    assert!(
        holds.len() >= 8 && looks_so.len() >= 8,
        "{class}: {} and {}",
        holds.len(),
        looks_so.len()
    );
    let mut faults = Vec::new();
    for (cases, expected) in [(holds, true), (looks_so, false)] {
        for case in cases {
            let mut outcome = outcome(*case);
            outcome.finished = finished;
            let found = evidence(class, &outcome);
            if found.is_empty() == expected {
                faults.push(format!("{case:?}: expected {expected}, found {found:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{class}:\n{}", faults.join("\n"));
}

#[test]
fn empty() {
    let q = "Name a rank.";
    check(
        "empty",
        &[
            (q, "Eight.", ""),
            (q, "Eight.", " "),
            (q, "Eight.", "\n\n"),
            (q, "Eight.", "\t \r\n"),
            (q, "Eight.", "\u{200b}"),
            (q, "Eight.", "\u{a0}\u{3000}"),
            (q, "Eight.", "\u{feff}"),
            (q, "Eight.", "\0"),
        ],
        &[
            (q, "Eight.", "."),
            (q, "Eight.", "0"),
            (q, "Eight.", "-"),
            (q, "Eight.", "null"),
            (q, "Eight.", "\"\""),
            (q, "Eight.", "👍"),
            (q, "Eight.", "{}"),
            (q, "", ""),
            (q, " ", "\n"),
        ],
    );
}

#[test]
fn special_tokens() {
    let q = "What does the rank set?";
    let r = "The width of the update.";
    check(
        "special tokens",
        &[
            (q, r, "The width of the update.<|im_end|>"),
            (q, r, "<s> The width of the update.</s>"),
            (q, r, "The width of the update.</s>"),
            (q, r, "[INST] The width [/INST]"),
            (q, r, "<<SYS>> be kind"),
            (q, r, "The width<0x0A>of the update"),
            (q, r, "The▁width of the update"),
            (q, r, "TheĠwidth of the update"),
            (q, r, "The width [SEP] of the update [PAD]"),
            (q, r, "The width<pad><pad>"),
            (q, r, "<start_of_turn>model The width"),
            (q, r, "The wid\u{fffd}\u{fffd}th"),
            (q, r, "<extra_id_0> width"),
        ],
        &[
            (q, r, "The token `<|im_end|>` ends a turn."),
            (q, r, "It writes “<|endoftext|>” at the end."),
            (q, r, "BERT puts the [MASK] token in its place."),
            (q, r, "Every text begins with the token [CLS] there."),
            ("What does </s> mean?", r, "</s> ends a text."),
            (q, "It ends with <|eot|>.", "It ends with <|eot|>."),
            (q, r, "A price of <s>10</s> 8 euros."),
            (q, r, "xs |> List.map f <| ys"),
            (q, r, "a < b and b > c"),
            (q, r, "Ġorġ lives in Malta, il-Ġimgħa too."),
            (q, r, "▁▂▃▄▅ is a bar chart."),
            (q, r, "<strong>bold</strong> [1] [x] [TODO]"),
            (q, r, "```\nprint('<pad>')\n```"),
        ],
    );
}

#[test]
fn repetition() {
    let r = "One short answer.";
    let sentence = "The rank sets the width of the update that is added to each weight of the model. \
        It goes on as before and nothing changes at all in the end of the day. \
        The rank sets the width of the update that is added to each weight of the model. \
        It goes on as before and nothing changes at all in the end of the day.";
    let woven = "First the rank sets the width of the update that is added here; then the rank sets the width of the \
        update that is added there; later the rank sets the width of the update that is added anywhere.";
    check(
        "repetition",
        &[
            ("q", r, "so no no no no yes"),
            ("q", r, "a model, the model, the model, the model."),
            ("q", r, "It is a rank of eight. Yes. It is a rank of eight."),
            ("q", r, "well hahahahahahahahahahaha"),
            ("q", r, sentence),
            ("q", r, woven),
            ("q", r, "I like it.\nI like it.\nI like it.\n"),
            (
                "q",
                r,
                "Das Modell lernt und das Modell lernt und das Modell lernt und das Modell lernt",
            ),
            ("q", r, "1, 2, 1, 2, 1, 2, 1, 2"),
        ],
        &[
            ("q", r, ""),
            ("q", r, "It was a very very very good day."),
            ("q", r, "I know that that that is there is right."),
            (
                "q",
                r,
                "The rank is the width of the update. The alpha is its scale. The rank is low.",
            ),
            (
                "Write a poem.",
                r,
                "The night is long\nand dark the sea\nO come, my love, O come with me\nThe stars are pale\nthe wind is \
                 low\nO come, my love, O come with me\nThe ship is ready\nto set sail\nand far away the harbour lies\nbefore \
                 the morning of the day\nwe leave the land behind our eyes",
            ),
            (
                "List five rules.",
                r,
                "- You should never share a key.\n- You should never run as root.\n- You should never trust input.\n- You \
                 should never skip tests.\n- You should never log secrets.",
            ),
            (
                "q",
                r,
                "| a | yes | yes | yes | yes | yes |\n|---|---|---|---|---|---|\n| b | no | no | no | no | no |",
            ),
            ("q", r, "```\nx = 0\nx = 0\nx = 0\nx = 0\n```"),
            ("q", r, "---------------------------------------------"),
            ("q", "He said: no no no no no.", "no no no no"),
            ("q", r, "A rose is a rose is a flower."),
        ],
    );
}

#[test]
fn refusal() {
    let q = "How do I merge an adapter?";
    let r = "Call merge and save the model.";
    check(
        "refusal",
        &[
            (q, r, "I'm sorry, but I can't help with that."),
            (q, r, "I cannot assist with this request."),
            (q, r, "As an AI language model, I cannot do this for you."),
            (q, r, "I’m unable to provide that information."),
            (q, r, "Sorry. I won't answer that question."),
            (q, r, "I must respectfully decline to answer."),
            (q, r, "I do not have access to the internet."),
            (
                q,
                r,
                "Es tut mir leid, aber ich kann dir dabei leider nicht helfen.",
            ),
            (q, r, "Je ne peux pas vous aider avec cela."),
            (q, r, "Lo siento, pero no puedo ayudarte con eso."),
            (q, r, "This request violates our policy."),
        ],
        &[
            (q, r, "You can't merge an adapter twice."),
            (q, r, "I can't believe how easy it is: call merge."),
            (q, r, "I can't help but smile at this."),
            (q, r, "I can't recommend this book enough."),
            (
                q,
                r,
                "The clerk said “I can't help you with that” and left.",
            ),
            (
                "How does a bot decline?",
                "It says: I cannot assist with this.",
                "I cannot assist with this.",
            ),
            (q, r, "As an AI researcher, she cannot stop learning."),
            (
                q,
                r,
                "I'm sorry to hear that. Call merge and save the model.",
            ),
            (q, r, "I'm sorry, but I can't come to the party on Friday."),
            (q, r, "I won't give up on you."),
            (q, r, "It cannot be merged while it trains."),
            (q, r, "I don't have a dog."),
            (q, r, "```\nprint(\"I cannot assist with this\")\n```"),
        ],
    );
}

#[test]
fn copied_prompt() {
    let q = "Explain in two short sentences what the rank of an adapter sets and why it should be small.";
    let r = "The rank is the width of the update. A small one costs less.";
    let passage = "The treaty of Westphalia ended the long war in the year 1648 after five years of talks. When did it end?";
    check(
        "copied prompt",
        &[
            (
                q,
                r,
                "Explain in two short sentences what the rank of an adapter sets and why it should be small.",
            ),
            (
                q,
                r,
                "what the rank of an adapter sets and why it should be small",
            ),
            (
                q,
                r,
                "explain in two short sentences what the rank of an adapter sets. And so on.",
            ),
            (
                "What does the rank set?",
                r,
                "What does the rank set? What does the alpha set?",
            ),
            (
                "Where is the config file?",
                "In the folder.",
                "where is the config file",
            ),
            (
                q,
                r,
                "In two short sentences what the rank of an adapter sets and why it should be small: it is.",
            ),
            (
                "Correct this: he go to school by bus every day with his friends from here.",
                "He goes to school by bus every day with friends.",
                "he go to school by bus every day with his friends from here",
            ),
            (
                passage,
                "In 1850.",
                "The treaty of Westphalia ended the long war in the year 1648 after five years of talks.",
            ),
        ],
        &[
            (q, r, "The rank of an adapter sets the width of its update."),
            (
                "What is the capital of France?",
                "Paris.",
                "The capital of France is Paris.",
            ),
            (
                passage,
                "1648",
                "The treaty of Westphalia ended the long war in the year 1648 after five years of talks.",
            ),
            (passage, "in the year 1648", "It ended in the year 1648."),
            (
                "Repeat: the rank of an adapter sets the width of its own update.",
                "the rank of an adapter sets the width of its own update",
                "the rank of an adapter sets the width of its own update",
            ),
            ("Why?", "Because.", "Why? Because."),
            ("Is it so?", "Yes.", "Is it so? Yes."),
            (q, r, ""),
            (
                q,
                "Explain in two short sentences what the rank of an adapter sets and why it should be small.",
                "Explain in two short sentences what the rank of an adapter sets and why it should be small.",
            ),
            (
                q,
                r,
                "Small ranks cost less, and the rank sets how wide the update of each weight is.",
            ),
        ],
    );
}

#[test]
fn wrong_language() {
    let r =
        "The rank sets the width of the update that an adapter adds to each weight of the model.";
    let german = "Der Rang bestimmt, wie breit die Änderung ist, die ein Adapter zu jedem Gewicht des Modells hinzufügt.";
    check(
        "wrong language",
        &[
            ("q", r, german),
            (
                "q",
                german,
                "It is the number of directions in which every one of the weights can be changed by training.",
            ),
            (
                "q",
                r,
                "Le rang détermine la largeur de la modification que l'adaptateur ajoute à chacun des poids du modèle.",
            ),
            (
                "q",
                r,
                "秩决定了适配器添加到每个权重的更新的宽度，因此它应该很小。",
            ),
            (
                "q",
                r,
                "Ранг определяет ширину обновления, которое адаптер добавляет к каждому весу модели.",
            ),
            (
                "q",
                r,
                "Ο βαθμός καθορίζει το πλάτος της ενημέρωσης που προσθέτει ο προσαρμογέας σε κάθε βάρος.",
            ),
            (
                "q",
                r,
                "The rank sets the width of the update.\n\nDer Rang ist die Breite der Änderung, und deshalb sollte er nicht zu groß gewählt werden, sonst lernt es auswendig.",
            ),
            (
                "q",
                german,
                "ランクは、アダプターが各重みに加える更新の幅を決めるものであり、小さい方がよい。",
            ),
            (
                "q",
                r,
                "El rango determina el ancho de la actualización que el adaptador añade a cada uno de los pesos del modelo.",
            ),
        ],
        &[
            (
                "q",
                r,
                "It is how wide the change of the weights may be, and it should be as small as it can be.",
            ),
            (
                "q",
                german,
                "Er ist die Zahl der Richtungen, in denen sich jedes Gewicht durch das Training noch ändern kann.",
            ),
            ("q", r, "Ja."),
            ("q", r, "東京 (Tokyo)"),
            (
                "q",
                r,
                "```\nfor i in range(10): print(i, werte[i], schluessel, ergebnis, naechster_wert)\n```",
            ),
            (
                "q",
                r,
                "Goethe wrote “Über allen Gipfeln ist Ruh, in allen Wipfeln spürest du kaum einen Hauch” in 1780.",
            ),
            ("Translate to German: the rank is low.", german, german),
            ("q", "8", german),
            (
                "q",
                "eight",
                "Der Rang bestimmt, wie breit die Änderung ist, die ein Adapter zu jedem Gewicht hinzufügt.",
            ),
            (
                "q",
                r,
                "Einstein, Schrödinger, Heisenberg, Dirac, Pauli, Born, Fermi, Feynman, Schwinger, Tomonaga, Bohr",
            ),
            (
                "q",
                r,
                "| Land | Hauptstadt | Sprache |\n| Österreich | Wien | Deutsch |\n| Frankreich | Paris | Französisch |",
            ),
            (
                "q",
                "El rango determina el ancho de la actualización que añade el adaptador a cada peso.",
                "O posto determina a largura da atualização que o adaptador acrescenta a cada peso do modelo.",
            ),
        ],
    );
}

#[test]
fn wrong_content_and_partly_right() {
    let q = "What does the rank of an adapter set?";
    let r = "The rank sets the width of the update that an adapter adds to each weight.";
    check(
        "wrong content",
        &[
            (
                q,
                r,
                "A river in the north of the country where people go to fish.",
            ),
            (q, r, "Bread."),
            (q, "Paris", "London"),
            (q, "Yes.", "No."),
            (q, r, "42"),
            (q, r, "I think so."),
            (q, "low rank adaptation", "high order polynomials"),
            (
                "What is the capital of France?",
                "The capital of France is Paris.",
                "Lyon.",
            ),
            (q, r, "```\nmerge()\n```"),
        ],
        &[
            (q, r, r),
            (
                q,
                r,
                "the rank sets the width of the update that an adapter adds to each weight",
            ),
            (
                "What is the capital of France?",
                "The capital of France is Paris.",
                "Paris.",
            ),
            (
                "What is the capital of France?",
                "The capital of France is Paris.",
                "It is Paris",
            ),
            (
                "How many legs has a spider?",
                "A spider has eight legs.",
                "Eight.",
            ),
            (q, "Paris", "PARIS!"),
            (
                q,
                "Paris",
                "Paris is the answer, and I could go on and on about it for a long time.",
            ),
            (q, r, ""),
            (q, r, "The rank sets the width of the update."),
            (q, "yes", "Yes."),
        ],
    );
    check(
        "partly right",
        &[
            (q, r, "The rank sets the width of something."),
            (q, "red and green", "red and blue"),
            (q, "the low rank", "the low road"),
            (q, r, "It sets the width of the update."),
            (q, "Marie Curie", "Pierre Curie"),
            (q, "one two three four", "one two five six"),
            (q, r, "An adapter adds something to each weight."),
            (q, "on Monday morning", "on Tuesday morning"),
        ],
        &[
            (q, r, r),
            (q, r, "Bread."),
            (q, r, ""),
            (q, "Marie Curie", "Marie Curie."),
            (q, "red", "blue"),
            (
                "What is the capital of France?",
                "The capital of France is Paris.",
                "Paris.",
            ),
            (
                q,
                r,
                "The rank sets the width of the update that an adapter adds to the weight.",
            ),
            (q, "1,000", "1,000"),
        ],
    );
}

#[test]
fn different_numbers() {
    let q = "How many are there?";
    check(
        "different numbers",
        &[
            (q, "There are 8.", "There are 9."),
            (q, "1,000", "100"),
            (q, "The rank is eight.", "The rank is 16."),
            (q, "It was in 1969.", "It was in 1968."),
            (q, "About 3.5 million", "About 3.5 billion"),
            (q, "50%", "60%"),
            (q, "The rank is eight.", "The rank is nine."),
            (q, "At 14:30.", "At 14:45."),
            (q, "3.14", "3.15"),
            (q, "4 rows and 7 columns", "4 rows and 6 columns"),
        ],
        &[
            (q, "1,000", "1000"),
            (q, "There are 1000 of them.", "There are 1.000 of them."),
            (q, "The rank is eight.", "The rank is 8."),
            (q, "3.14159", "3.14"),
            (q, "50%", "0.5"),
            (q, "1.5 million", "1,500,000"),
            (q, "Use GPT-2.", "Use GPT-3."),
            (q, "It is 7.", "1. First it is seven.\n2. Then it is done."),
            (q, "No number.", "There are 12 of them."),
            (q, "There are 12 of them.", "There are many."),
            ("Of 30 rows, how many?", "12", "12 of 30"),
            (
                q,
                "16 - 3 - 4 = 9, and 9 * 2 = 18",
                "16 - 7 = 9, and twice 9 is 18",
            ),
            (q, "There are 12.", "There are 12, in 3 groups of 4."),
            (q, "At 2:30 pm.", "At 14:30."),
            (q, "One half, 1/2", "0.5"),
            (q, "x = 5", "`y = 6`"),
        ],
    );
}

#[test]
fn unsupported() {
    let context = "The Rhine is a river in Europe. It rises in the Swiss Alps, flows through Germany and the Netherlands, \
        and reaches the North Sea after 1,233 kilometres. Its largest city is Cologne.";
    let knowledge = knowledge().contexts([(Origin::new("items.jsonl", 7), context.to_owned())]);
    let classes = Classes::standard(knowledge);
    let class = classes
        .iter()
        .find(|class| class.name == "unsupported")
        .unwrap();
    let q = "What is the Rhine?";
    let r = "A river in Europe.";
    let holds = [
        (q, r, "It is a river of 1,320 kilometres."),
        (q, r, "It flows through Austria too."),
        (
            q,
            r,
            "Its banks host medieval castles, vineyards, breweries and thermal spas.",
        ),
        (q, r, "It was explored by Humboldt."),
        (q, r, "A river in Europe. It froze in 1963."),
        (q, r, "It reaches the Baltic after 1,233 kilometres."),
        (
            q,
            r,
            "Tourists enjoy steamboat excursions, festivals and fireworks.",
        ),
        (q, r, "Its largest city is Rotterdam."),
    ];
    let looks_so = [
        (q, r, "A river in Europe."),
        (q, r, "It rises in the Alps and flows through Germany."),
        (q, r, "The river is 1233 kilometres long."),
        (q, r, "It flows through 2 countries."),
        (q, r, "I do not know."),
        (q, r, "Yes."),
        (q, r, "The text does not say."),
        (q, "It froze in 1963.", "It froze in 1963."),
        ("Who was Humboldt?", r, "The text says nothing of Humboldt."),
        (q, r, "Cologne is the largest of its cities."),
        (q, r, ""),
    ];
    let missed = holds
        .iter()
        .filter(|case| class.find(&outcome(**case)).is_empty());
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&Case>::new());
    let false_alarms = looks_so.iter().map(|case| class.find(&outcome(*case)));
    assert_eq!(false_alarms.flatten().collect::<Vec<_>>(), []);
    let mut elsewhere = outcome(holds[0]);
    elsewhere.origin.place = 8;
    assert!(
        class.find(&elsewhere).is_empty(),
        "no context, no judgement"
    );
}

const LONG: &str = "It was a long day and we went out to see what there was to be seen by the water, and then home again.";

#[test]
fn cut_off_at_the_limit() {
    let r = "The rank sets the width of the update that an adapter adds to each weight.";
    check_ended(
        "cut off",
        Some(Finish::Length),
        &[
            ("q", r, "The rank sets the width of the"),
            ("q", r, "The rank"),
            ("q", r, r),
            ("q", r, "T"),
            ("q", r, "It sets how wide the update may be, which"),
            ("q", r, "Der Rang"),
            ("q", r, "```\nlet x = 1;"),
            ("q", r, "1. First\n2. Sec"),
        ],
        &[
            ("q", "Yes.", LONG),
            (
                "q",
                "Eight.",
                "Eight. Nine. Ten. Eleven and so on, and so on, until the end",
            ),
            ("q", "Yes.", "no no no no no no no no no no no no no"),
            ("q", r, "the rank the rank the rank the rank the rank"),
            (
                "q",
                "Yes.",
                "Yes. And here is more and more and more of what nobody asked for",
            ),
            (
                "q",
                "Paris.",
                "Paris, which is the capital of the country of France in the west",
            ),
            ("q", "1", "1 2 3 4 5 6 7 8 9 10 11 12"),
            ("q", "a b", "a b c d e f g h i j k l m"),
        ],
    );
}

#[test]
fn cut_off_by_the_text_alone() {
    let r = "The rank sets the width of the update that an adapter adds to each weight.";
    check(
        "cut off",
        &[
            ("q", r, "The rank sets the width of the update that an"),
            ("q", r, "First you load the model, then you train it,"),
            ("q", r, "It is one of the things that you know and"),
            ("q", r, "You need to set the rank before you start because"),
            ("q", r, "```python\nprint(1)"),
            (
                "q",
                r,
                "Here is how:\n```\nlet x = 1;\n```\nand then\n```\nlet y",
            ),
            ("q", r, "The update is added to each of the weights, which"),
            ("q", r, "There are many ways to do it (for example with the"),
        ],
        &[
            ("q", r, r),
            (
                "q",
                r,
                "The rank sets the width of the update that an adapter adds to each weight",
            ),
            ("q", r, "the"),
            ("q", r, "red, green, blue,"),
            ("q", r, "```\nlet x = 1;\n```"),
            ("q", r, "It is what the rank is really made of"),
            ("q", r, "Use `a` and `b` and not the third one, `c`"),
            ("q", r, "Of all vitamins the body needs most of Vitamin A"),
            ("q", r, ""),
            (
                "q",
                r,
                "1. load the model\n2. train the adapter\n3. merge it",
            ),
        ],
    );
}

#[test]
fn never_stopped() {
    check_ended(
        "never stopped",
        Some(Finish::Length),
        &[
            ("q", "Yes.", LONG),
            (
                "q",
                "Eight.",
                "Eight. Nine. Ten. Eleven and so on, and so on, until the end",
            ),
            ("q", "Yes.", "no no no no no no no no no no no no no"),
            (
                "q",
                "The width of the update that is added to each weight.",
                "the rank the rank the rank the rank",
            ),
            (
                "What?",
                "Paris.",
                "Paris.\nUser: And Rome?\nAssistant: Rome.",
            ),
            ("What?", "Paris.", "Paris.\n### Instruction: next"),
            ("What?", "Paris.", "Paris.\n\nQ: And then?"),
            ("q", "1", "1 2 3 4 5 6 7 8 9 10 11 12"),
        ],
        &[
            (
                "q",
                "The rank sets the width of the update.",
                "The rank sets the",
            ),
            ("q", LONG, LONG),
            ("q", "Yes.", "Yes, it is."),
            ("q", "Yes.", ""),
            (
                "Write a dialogue.\nUser: hi",
                "User: hi\nAssistant: hello",
                "User: hi\nAssistant: hello",
            ),
            (
                "q",
                "Ask a question first.\nQuestion: why?",
                "So ask.\nQuestion: why?",
            ),
            ("q", LONG, "The question is open: who knows?"),
            (
                "q",
                LONG,
                "A user said: it works. The assistant: it does not.",
            ),
        ],
    );
    let mut ended = outcome(("q", "Yes.", LONG));
    ended.finished = Some(Finish::Stop);
    assert!(
        evidence("never stopped", &ended).is_empty(),
        "it stopped by itself"
    );
    let mut turn = outcome(("q", "Yes.", "Yes.\nHuman: Why?"));
    turn.finished = Some(Finish::Stop);
    assert_eq!(
        evidence("never stopped", &turn),
        ["another turn: it goes on with “Human:”"]
    );
}

#[test]
fn too_long() {
    let r = "The rank sets the width of the update that an adapter adds to each weight.";
    let chinese = "秩决定了更新的宽度";
    check(
        "too long",
        &[
            ("q", "Yes.", LONG),
            (
                "q",
                "Paris",
                "The capital of France is the city of Paris, as we all know by now.",
            ),
            (
                "q",
                "Eight.",
                "Well, that depends on many things that I cannot all name here.",
            ),
            (
                "q",
                "ja",
                "Das hängt von sehr vielen Dingen ab, die hier nicht genannt sind.",
            ),
            (
                "q",
                chinese,
                "秩决定了适配器添加到每个权重的更新的宽度，因此它应该很小，否则模型会过度拟合。",
            ),
            ("q", "a b c", "a b c d e f g h i j k l m n o p"),
            (
                "q",
                "8",
                "- one\n- two\n- three\n- four\n- five\n- six\n- seven\n- eight\n- nine",
            ),
            (
                "q",
                r,
                "It sets it. It was a long day and we went out to see what there was to be seen by the water, and then home again, and that was all that we did on that day in May.",
            ),
        ],
        &[
            ("q", "Yes.", "Yes, it is."),
            ("q", r, r),
            (
                "q",
                r,
                "The rank sets the width of the update that an adapter adds to each weight, and the alpha sets its scale.",
            ),
            ("q", "Paris", "The capital of France is Paris."),
            ("q", chinese, "秩决定了更新的宽度和范围"),
            ("q", "8", "1 2 3 4 5 6 7 8"),
            ("q", r, ""),
            ("q", LONG, LONG),
            (
                "q",
                "https://example.org/a/very/long/address",
                "https://example.org/a/very/long/address?with=a&long=query",
            ),
        ],
    );
}

#[test]
fn too_short() {
    let r = "The rank sets the width of the update that an adapter adds to each weight.";
    check(
        "too short",
        &[
            ("q", r, "The rank."),
            ("q", r, "A width of an update."),
            ("q", LONG, "It was a day."),
            ("q", "one two three four five six seven", "one two"),
            (
                "q",
                "Ja, weil der Rang die Breite der Änderung bestimmt.",
                "Ja.",
            ),
            ("q", "秩决定了适配器添加到每个权重的更新的宽度", "秩决定"),
            ("q", r, "No"),
            (
                "q",
                "Load the model, train the adapter, merge it and save the whole.",
                "Load the model.",
            ),
        ],
        &[
            (
                "What is the capital of France?",
                "The capital of France is Paris.",
                "Paris.",
            ),
            (
                "How many legs has a spider?",
                "A spider has eight legs, as we all know.",
                "Eight legs, as you know, all.",
            ),
            ("Who wrote Faust?", "Faust was written by Goethe.", "Goethe"),
            ("q", "Yes.", "Yes"),
            ("q", "Paris", "It"),
            ("q", r, r),
            ("q", r, ""),
            ("q", "a b c d", "a"),
            (
                "Was ist die Hauptstadt von Frankreich?",
                "Die Hauptstadt von Frankreich ist Paris.",
                "Paris.",
            ),
        ],
    );
    let mut ended = outcome(("q", r, "The rank"));
    ended.finished = Some(Finish::Length);
    assert!(
        evidence("too short", &ended).is_empty(),
        "the limit made it short"
    );
}

#[test]
fn misspelt() {
    let r = "The model trains an adapter of low rank.";
    check(
        "misspelt",
        &[
            ("q", r, "The modle trains."),
            ("q", r, "A low-rnak adapter"),
            ("q", r, "the gradeint is small"),
            ("q", r, "Teh model"),
            ("q", r, "it is definately small"),
            ("q", r, "seperate batches"),
            ("q", r, "the adpater merges"),
            ("q", r, "befroe training"),
            ("Where is Constantinople?", r, "in constantinopel"),
            (
                "q",
                "Das Modell lernt gleichmäßig.",
                "Das Modell lernt gleichmäsig.",
            ),
        ],
        &[
            ("q", r, "the Modle of Ranke"),
            ("q", r, "`modle` and ```\nmodle rnak\n```"),
            (
                "q",
                r,
                "modle_2 model2 src/modle.rs modle::rnak modle() www.modle.org",
            ),
            ("q", r, "MODLE and LoRRA"),
            ("q", r, "giraffes eat leaves"),
            ("q", r, "a trainer and an adaptor"),
            ("q", r, "it memorizes colours, it memorises colors"),
            ("q", r, "a bank and a tank and a rink"),
            ("q", r, "the model's rank doesn't change, y'all"),
            ("q", r, "模型训练"),
            ("q", r, "he wrote “modle” there"),
            (
                "q",
                r,
                "Er hat oder wird alles in der Welt sehen und noch mehr davon haben wollen als andere Leute.",
            ),
            ("q", r, "| modle_a | x1 |\n|---|---|\n| 1 | 2 |"),
        ],
    );
}

#[test]
fn wrong_format() {
    let shape = r#"{"type": "object", "properties": {"level": {"type": "string", "enum": ["easy", "hard"]}}, "required": ["level"]}"#;
    let forms: [(Check, &[&str], &[&str]); 4] = [
        (
            Check::Json,
            &[
                "{",
                "",
                "{} {}",
                "yes",
                "{'a': 1}",
                "[1, 2,]",
                "```json\n{}\n```",
                "Here: {}",
                "NaN",
            ],
            &[
                "{\"a\": [1]}",
                " 3 ",
                "null",
                "\"yes\"",
                "[]",
                "{}",
                "\n{\"a\": \"}\"}\n",
                "true",
                "1e5",
            ],
        ),
        (
            Check::Shape(serde_json::from_str(shape).unwrap()),
            &[
                "{}",
                "{\"level\": 1}",
                "{\"level\": \"odd\"}",
                "[]",
                "easy",
                "",
                "{\"Level\": \"easy\"}",
                "{\"level\": null}",
            ],
            &[
                "{\"level\": \"easy\"}",
                "{\"level\": \"hard\"}",
                " {\"level\":\"hard\"} ",
                "{\"level\": \"easy\", \"more\": 1}",
                "{\n \"level\": \"easy\"\n}",
                "{\"more\": [], \"level\": \"easy\"}",
                "{\"level\": \"e\\u0061sy\"}",
                "\t{\"level\": \"hard\"}",
            ],
        ),
        (
            Check::Labels(vec![
                "yes".into(),
                "no".into(),
                "not known".into(),
                "ja".into(),
                "1".into(),
            ]),
            &[
                "Yes", "yes no", "", "yes.", "nope", "1.0", "notknown", "\"yes\"",
            ],
            &[
                "yes",
                " no\n",
                "not known",
                "ja",
                "1",
                "\tyes",
                "no ",
                "\n\nyes\n",
            ],
        ),
        (
            Check::Form("[a-z]+|[0-9]{4}".into()),
            &["abc1", "20245", "a b", "", "ABC", "202", "abc\ndef", "é"],
            &[
                "abc", "2024", " abc ", "z", "0000", "\n2024", "abcdefgh", "a",
            ],
        ),
    ];
    for (check, wrong, right) in forms {
        let definition = Definition {
            name: "wrong format".into(),
            meaning: String::new(),
            check,
        };
        let classes = Classes::defined(&[definition], &Knowledge::default()).unwrap();
        let holds = |output: &str| {
            let outcome = Outcome::new(Origin::new("a", 1), "", "x", output);
            !classes.iter().next().unwrap().find(&outcome).is_empty()
        };
        assert!(wrong.len() >= 8 && right.len() >= 8);
        for output in wrong {
            assert!(holds(output), "{output:?}");
        }
        for output in right {
            assert!(!holds(output), "{output:?}");
        }
    }
}

#[test]
fn classes_of_a_file() {
    let list = r#"[
        {"name": "greeting", "meaning": "it greets first", "check": {"pattern": {"find": "(?i)\\bhello\\b", "except": "(?i)hello world"}}},
        {"name": "jargon", "check": {"words": ["C++", "synergy", "going forward"]}},
        {"name": "essay", "check": {"length": {"unit": "words", "most": 6}}},
        {"name": "one line", "check": {"length": {"unit": "lines", "least": 2}}},
        {"name": "far", "check": {"score": {"name": "f1", "below": 0.5}}},
        {"name": "long", "check": {"too_long": {"ratio": 3}}},
        {"name": "nothing", "check": "empty"}
    ]"#;
    let definitions = Definition::list(list).unwrap();
    let classes = Classes::defined(&definitions, &Knowledge::default()).unwrap();
    let held = |output: &str| -> Vec<String> {
        let outcome = Outcome::new(Origin::new("a", 1), "", "a\nb", output).with_score("f1", 0.4);
        let found = classes
            .iter()
            .filter(|class| !class.find(&outcome).is_empty());
        found.map(|class| class.name.clone()).collect()
    };
    assert_eq!(held("Hello there\nyou"), ["greeting", "far"]);
    assert_eq!(held("a hello world\nprogram"), ["far"]);
    assert_eq!(
        held("Synergy is not synergyless C++\n"),
        ["jargon", "one line", "far"]
    );
    assert_eq!(held("synergyless\nthings going  forward"), ["far"]);
    assert_eq!(
        held("one two three four five six seven"),
        ["essay", "one line", "far"]
    );
    assert_eq!(held(""), ["one line", "far", "nothing"]);
    let again: Vec<Definition> =
        serde_json::from_str(&serde_json::to_string(&definitions).unwrap()).unwrap();
    assert_eq!(again, definitions);
}

#[test]
fn faults_of_a_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classes.json");
    std::fs::write(
        &path,
        "[\n  {\"name\": \"a\", \"check\": {\"patern\": 1}}\n]",
    )
    .unwrap();
    let error = Definition::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("classes.json:2:") && error.contains("patern"),
        "{error}"
    );
    let refused = |list: &str, part: &str| {
        let list = Definition::list(list).unwrap();
        let error = Classes::defined(&list, &Knowledge::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(r#"[{"name": "", "check": "empty"}]"#, "no name");
    refused(r#"[{"name": "right", "check": "empty"}]"#, "\"right\"");
    refused(
        r#"[{"name": "a", "check": "empty"}, {"name": "a", "check": "cut_off"}]"#,
        "twice",
    );
    refused(
        r#"[{"name": "a", "check": {"pattern": {"find": "("}}}]"#,
        "unclosed group",
    );
    refused(r#"[{"name": "a", "check": {"words": [" "]}}]"#, "empty");
    refused(
        r#"[{"name": "a", "check": {"length": {"unit": "words", "least": 3, "most": 2}}}]"#,
        "less than the least",
    );
    refused(
        r#"[{"name": "a", "check": {"refusal": {"further": ["("]}}}]"#,
        "unclosed group",
    );
}

#[test]
fn several_classes_hold_with_the_weightiest_first() {
    let mut item = outcome((
        "What does the rank of an adapter set?",
        "The rank sets the width of the update.",
        "<|im_start|> no no no no no no 42 no no no no no",
    ));
    item.finished = Some(Finish::Length);
    let analysis = Classes::standard(knowledge())
        .analyze("base", &[item])
        .unwrap();
    let held: Vec<&str> = analysis.items[0]
        .errors
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        held,
        [
            "special tokens",
            "repetition",
            "wrong content",
            "never stopped"
        ]
    );
}
