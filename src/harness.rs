//! Suites under `cargo test` and nextest: every case a libtest-mimic trial.

use crate::grid::Grid;
use crate::proto::template::Template;
use crate::report::{Paint, failure};
use crate::runner::{Engine, Options, Outcome, reference_grid};
use crate::suite::{Case, Files, Library, Profile};
use libtest_mimic::{Failed, Trial};
use std::sync::Arc;
use tokio::sync::watch;

/// Every shipped case as a trial against one embedded reference grid, started by the first that
/// runs. A case that does not pass fails its trial, with the failure as its message.
pub fn trials(runtime: &'static tokio::runtime::Runtime) -> Vec<Trial> {
    let library = match Library::load(&Files::shipped(), Template::shipped()) {
        Ok(library) => Arc::new(library),
        Err(mistakes) => {
            let text: Vec<String> = mistakes.iter().map(|m| m.render(false)).collect();
            let failed = text.join("\n");
            return vec![Trial::test("suites are free of mistakes", move || Err(failed.into()))];
        }
    };
    let engine: Arc<tokio::sync::OnceCell<(Engine, Grid)>> = Arc::default();
    let cases: Vec<Arc<Case>> = library.cases().cloned().collect();
    cases
        .into_iter()
        .map(|case| {
            let (library, engine) = (library.clone(), engine.clone());
            Trial::test(case.id.clone(), move || {
                runtime.block_on(async move {
                    let engine = engine.get_or_try_init(|| start(library)).await;
                    let (engine, _) = engine.map_err(|e| Failed::from(e.to_string()))?;
                    let (_keep, never) = watch::channel(false);
                    let record = engine.run_case(&case, never).await;
                    match record.outcome {
                        Outcome::Pass => Ok(()),
                        _ => Err(failure(&record, Paint { colour: false }).into()),
                    }
                })
            })
        })
        .collect()
}

async fn start(library: Arc<Library>) -> std::io::Result<(Engine, Grid)> {
    let (target, grid) = reference_grid(24).await?;
    let template = Template::shipped().clone();
    let engine = Engine::new(target, library, Profile::default(), template, Options::default());
    Ok((engine, grid))
}
