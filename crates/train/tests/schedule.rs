//! Learning rates against transformers' own schedules; `tests/reference/make_schedule.py` wrote the table.

use finetune_train::Schedule;
use serde_json::Value;

#[test]
fn rates_are_those_of_transformers() {
    let table: Value = serde_json::from_str(include_str!("golden/schedule.json")).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let schedule: Schedule = serde_json::from_value(case["schedule"].clone()).unwrap();
        let steps = case["steps"].as_u64().unwrap();
        for (step, expected) in case["rates"].as_array().unwrap().iter().enumerate() {
            let expected = expected.as_f64().unwrap();
            let found = schedule.rate(step as u64, steps);
            assert!(
                (found - expected).abs() <= 1e-15,
                "step {step} of {steps}: {found}, expected {expected}, in {schedule:?}"
            );
        }
    }
}
