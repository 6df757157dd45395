//! A model behind an OpenAI-compatible endpoint.

use clap::Args;
use finetune::data::Value;
use finetune::prelude::*;

#[derive(Args)]
#[cfg_attr(
    not(feature = "api"),
    allow(dead_code, reason = "only a service reads them")
)]
#[command(next_help_heading = "Endpoint, with --tasks")]
pub(crate) struct Flags {
    /// Ask a model behind this address, such as `http://localhost:8000/v1`, in place of `--model`. Built with the
    /// feature `api`.
    #[arg(long, value_name = "URL", value_parser = program::address)]
    #[arg(requires_all = ["name", "tasks"], conflicts_with_all = ["model", "adapter"])]
    pub(super) endpoint: Option<String>,
    /// The model's name there.
    #[arg(long, value_name = "MODEL", requires = "endpoint")]
    pub(super) name: Option<String>,
    /// The environment variable that holds the endpoint's key. The key is neither shown nor written anywhere.
    #[arg(long, value_name = "VARIABLE", requires = "endpoint")]
    key_from: Option<String>,
    /// How many requests are on their way at once.
    #[arg(long, default_value_t = 4)]
    concurrency: usize,
    /// How long one answer may take, in seconds.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// How many times a request is sent that has no answer.
    #[arg(long, default_value_t = 6)]
    tries: u32,
    /// The token that begins a document, as text, where the endpoint puts none before a text: `<|endoftext|>`.
    #[arg(long, value_name = "TOKEN", requires = "endpoint")]
    beginning: Option<String>,
    /// The endpoint goes on with an answer that has begun (`continue_final_message`), as vLLM does.
    #[arg(long, requires = "endpoint")]
    continues: bool,
    /// A field of every request, `NAME=JSON`; null leaves out one that is sent otherwise.
    #[arg(long, value_parser = program::field, requires = "endpoint")]
    send: Vec<(String, Value)>,
}

#[cfg(feature = "api")]
pub(super) fn open(flags: &Flags, url: &str) -> Result<finetune::eval::Endpoint, Failure> {
    use finetune::data::synthesize::{Retry, Service};
    use finetune::eval::Endpoint;
    use std::time::Duration;

    let service = Service::new(url).timeout(Duration::from_secs(flags.timeout));
    let service = match &flags.key_from {
        Some(variable) => service.key_from(variable)?,
        None => service,
    };
    let retry = Retry {
        tries: flags.tries,
        ..Retry::default()
    };
    let endpoint = Endpoint::new(service, flags.name.as_deref().unwrap_or_default())
        .concurrency(flags.concurrency)
        .retry(retry)
        .beginning(flags.beginning.as_deref().unwrap_or_default())
        .continues(flags.continues);
    let with =
        |endpoint: Endpoint, (name, value): &(String, Value)| endpoint.with(name, value.clone());
    Ok(flags.send.iter().fold(endpoint, with))
}
