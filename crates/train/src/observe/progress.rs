//! A progress bar.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, Observer, Start, Step, Summary, Validation};

/// Shows loss, tokens per second and the time left on standard error. Silent when that is no terminal, but
/// for warnings.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    speed: Option<f64>,
    validation: Option<f64>,
    /// Steps done before this process, and the seconds of those since: the base of the time left.
    done: u64,
    seconds: f64,
}

/// How much of the newest step goes into the shown speed.
const SMOOTHING: f64 = 0.1;

impl Progress {
    /// A bar on standard error.
    pub fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self {
            bar: ProgressBar::with_draw_target(None, target),
            speed: None,
            validation: None,
            done: 0,
            seconds: 0.0,
        }
    }

    fn start(&mut self, start: &Start) {
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar.set_style(style);
        self.bar.set_length(start.steps);
        self.bar.set_position(start.done);
        self.done = start.done;
    }

    fn step(&mut self, step: &Step) {
        self.seconds += step.seconds;
        if step.seconds > 0.0 {
            let now = step.tokens as f64 / step.seconds;
            let before = self.speed.unwrap_or(now);
            self.speed = Some(before + SMOOTHING * (now - before));
        }
        self.bar.set_position(step.step);
        self.bar.set_message(self.message(step));
    }

    fn message(&self, step: &Step) -> String {
        let mut text = format!("epoch {:.2}  loss {:.4}", step.epoch, step.loss);
        if let Some(loss) = self.validation {
            let _ = write!(text, "  validation {loss:.4}");
        }
        if let Some(speed) = self.speed {
            let _ = write!(text, "  {speed:.0} tokens/s");
        }
        let here = step.step.saturating_sub(self.done).max(1);
        let left = self.seconds / here as f64 * step.steps.saturating_sub(step.step) as f64;
        text + &format!("  {} left", clock(left))
    }

    fn validated(&mut self, validation: &Validation) {
        self.validation = Some(validation.loss);
        let mark = if validation.best {
            ", the lowest so far"
        } else {
            ""
        };
        self.bar.println(format!(
            "step {}: validation loss {:.4} per target{mark}",
            validation.step, validation.loss
        ));
    }

    /// Warnings are shown without a terminal too.
    fn warn(&self, text: &str) {
        if self.bar.is_hidden() {
            // Whoever reads the warnings may be gone; that is no reason to end the run.
            let _ = writeln!(std::io::stderr(), "warning: {text}");
        } else {
            self.bar.println(format!("warning: {text}"));
        }
    }

    fn finish(&mut self, summary: &Summary) {
        self.bar.abandon_with_message(format!(
            "{:?} after {} steps, {:.2} epochs, {}",
            summary.outcome,
            summary.step,
            summary.epoch,
            clock(summary.seconds)
        ));
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> Observer<M> for Progress {
    fn on(&mut self, event: &Event<'_>, _model: &M) -> ControlFlow<()> {
        match event {
            Event::Started(start) => self.start(start),
            Event::Stepped(step) => self.step(step),
            Event::Validated(validation) => self.validated(validation),
            Event::Warned(text) => self.warn(text),
            Event::Saved(_) => {}
            Event::Finished(summary) => self.finish(summary),
        }
        ControlFlow::Continue(())
    }

    fn name(&self) -> &'static str {
        "progress"
    }
}

/// Seconds as `1:02:03` or `02:03`.
fn clock(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, tokens: usize, seconds: f64) -> Step {
        Step {
            step,
            steps: 100,
            epoch: 0.5,
            loss: 2.0,
            learning_rate: 1e-3,
            gradient_norm: 1.0,
            targets: 1,
            tokens,
            seconds,
            elapsed: 0.0,
        }
    }

    #[test]
    fn it_tells_loss_speed_and_the_time_left() {
        let mut progress = Progress::on(ProgressDrawTarget::hidden());
        let start = Start {
            steps: 100,
            done: 10,
            batches: 1,
            trainable: 1,
            parameters: 1,
            folder: None,
        };
        progress.start(&start);
        progress.step(&step(11, 1000, 2.0));
        progress.step(&step(12, 2000, 2.0));
        // 88 steps at 2 seconds; the speed moves a tenth of the way from 500 to 1000.
        assert_eq!(
            progress.bar.message(),
            "epoch 0.50  loss 2.0000  550 tokens/s  02:56 left"
        );
        assert_eq!(progress.bar.position(), 12);
    }

    #[test]
    fn a_clock_has_hours_where_it_needs_them() {
        assert_eq!(clock(61.9), "01:01");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(clock(f64::NAN), "00:00");
    }
}
