//! What a template does, found out by rendering conversations of plain words.

use serde_json::json;

use crate::document::Value as Json;
use crate::error::{DataError, Place, Result};
use crate::example::{Role, ToolCall, ToolUse, Turn};

use super::super::part::Part;
use super::ChatTemplate;
use super::follow::Following;
use super::jinja::is_space;
use super::learned::end_of_turn;
use super::message::{CallForm, Messages};

/// What renders of plain words show of a template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Probe {
    /// The end of an answer's turn, unless it could not be found out.
    pub(super) end: Option<String>,
    /// Why no conversation should be rendered with this template.
    pub(super) fault: Option<String>,
    /// How it wants calls of tools.
    pub(super) form: CallForm,
    /// What it leaves out, in words; a conversation that has it must not be rendered.
    left_out: Vec<Part>,
}

impl Probe {
    /// Renders a few conversations to see what a template does with them.
    pub(super) fn of(chat: &ChatTemplate) -> Self {
        let (end, fault) = exchange(chat).unwrap_or_default();
        let mut probe = Self {
            end,
            fault,
            ..Self::default()
        };
        // A template that refuses what it is asked for is left to refuse the conversations too, with its own words.
        let forms = [(false, false), (false, true), (true, false), (true, true)];
        let forms = forms.map(|(text, content)| CallForm { text, content });
        let render = |form| Some((form, Shown::of(chat, form)?));
        let renders: Vec<(CallForm, Shown)> = forms.into_iter().filter_map(render).collect();
        let best = renders.iter().max_by_key(|(form, shown)| {
            // The first of those that show as much.
            (
                shown.calls,
                shown.results,
                std::cmp::Reverse((form.text, form.content)),
            )
        });
        if let Some((form, shown)) = best {
            probe.form = *form;
            let parts = [(Part::Calls, shown.calls), (Part::Results, shown.results)];
            let left_out = parts.iter().filter(|(_, shown)| !shown);
            probe.left_out.extend(left_out.map(|(part, _)| *part));
        }
        let tools = [tool()];
        let asked = [Turn::new(Role::User, "first question")];
        if bare(chat, (&asked, &tools), true).is_some_and(|text| !text.contains(TOOL)) {
            probe.left_out.push(Part::Tools);
        }
        let thought = Turn::new(Role::Assistant, "first answer").thinking("first thought");
        let thoughtful = [asked[0].clone(), thought];
        if bare(chat, (&thoughtful, &[]), false).is_some_and(|text| !text.contains("first thought"))
        {
            probe.left_out.push(Part::Thoughts);
        }
        probe
    }

    /// Refuses a conversation of which the template would leave out a part.
    pub(super) fn check(
        &self,
        chat: &ChatTemplate,
        (turns, tools): (&[Turn], &[Json]),
        place: &Place,
    ) -> Result<()> {
        if let Some(fault) = &self.fault {
            return Err(DataError::TemplateCheck {
                name: chat.engine.name().to_owned(),
                message: fault.clone(),
            });
        }
        let Some(part) = self.left_out.iter().find(|part| part.is_in(turns, tools)) else {
            return Ok(());
        };
        let instead = match part {
            Part::Tools => "remove the field tools",
            Part::Calls => "write the calls into the content",
            Part::Results => "write them into a turn of the user",
            Part::Thoughts => "remove reasoning_content",
        };
        Err(DataError::TemplateCheck {
            name: chat.engine.name().to_owned(),
            message: format!(
                "at {place}: it leaves out {part}; use the template of a model that knows them, or {instead}"
            ),
        })
    }
}

/// The name of the tool that a probe declares and calls.
const TOOL: &str = "probe_of_tools";

fn tool() -> Json {
    let word = json!({"type": "string", "description": "first word"});
    let parameters = json!({"type": "object", "properties": {"word": word}, "required": ["word"]});
    let function = json!({"name": TOOL, "description": "first tool", "parameters": parameters});
    json!({"type": "function", "function": function})
}

/// Whether a template shows calls of tools and what they give back.
struct Shown {
    calls: bool,
    results: bool,
}

impl Shown {
    /// `None` if the template refuses a conversation with a call.
    fn of(chat: &ChatTemplate, form: CallForm) -> Option<Self> {
        // Some templates want the name of a call to be nine letters long.
        let id = "callprobe".to_owned();
        let mut call = ToolCall::new(TOOL, json!({"word": "first argument"}));
        call.id = Some(id.clone());
        let mut result = Turn::new(Role::Tool, "first result");
        result.tools = ToolUse::Result {
            id: Some(id),
            name: Some(TOOL.to_owned()),
        };
        let turns = [
            Turn::new(Role::User, "first question"),
            Turn::new(Role::Assistant, "").calling([call]),
            result,
            Turn::new(Role::Assistant, "first answer"),
        ];
        let messages = Messages::of(&[], &turns, form);
        let following = Following::new(chat, &turns, &messages, Place::default()).ok()?;
        let text = following.bare(turns.len(), false).ok()?.text;
        Some(Self {
            calls: text.contains(TOOL) && text.contains("first argument"),
            results: text.contains("first result"),
        })
    }
}

fn bare(chat: &ChatTemplate, (turns, tools): (&[Turn], &[Json]), open: bool) -> Option<String> {
    let messages = Messages::of(tools, turns, CallForm::default());
    let following = Following::new(chat, turns, &messages, Place::default()).ok()?;
    Some(following.bare(turns.len(), open).ok()?.text)
}

/// The end of an answer's turn and the fault that two exchanges show. `None` if the template refuses them.
fn exchange(chat: &ChatTemplate) -> Option<(Option<String>, Option<String>)> {
    let texts = [
        "first question",
        "first answer",
        "second question",
        "second answer",
    ];
    let roles = [Role::User, Role::Assistant];
    let turns: Vec<Turn> = texts
        .iter()
        .zip(roles.iter().cycle())
        .map(|(text, role)| Turn::new(*role, *text))
        .collect();
    let follow = |count: usize, open: bool| {
        let turns = &turns[..count];
        let messages = Messages::of(&[], turns, CallForm::default());
        let following = Following::new(chat, turns, &messages, Place::default()).ok()?;
        following.marked(count, &[], open)
    };
    // Every turn has one text, so the text of a turn has the turn's number.
    let one = follow(2, false)?;
    let stands = |number: usize| one.texts[number].len();
    if let Some(number) = (0..2).find(|&number| stands(number) != 1) {
        let (role, times) = (roles[number], stands(number));
        let fault = format!("it writes the text of the {role}'s turn {times} times; expected once");
        return Some((None, Some(fault)));
    }
    let text_end = one.texts[1][0].end;
    let mut spans = one.generation.iter();
    if let Some(span) = spans.find(|span| span.end >= text_end) {
        let end = one.text[text_end..span.end].trim_end_matches(is_space);
        return Some((Some(end.to_owned()), None));
    }
    let mut tails = vec![&one.text[text_end..]];
    let (two, opened) = (follow(4, false), follow(2, true));
    if let Some(two) = &two {
        let (end, next) = (two.texts[1].last()?.end, two.texts[2].first()?.start);
        tails.push(two.text.get(end..next)?);
    }
    if let Some(opened) = &opened {
        tails.push(&opened.text[opened.texts[1].last()?.end..]);
    }
    Some((Some(end_of_turn(&tails).to_owned()), None))
}
