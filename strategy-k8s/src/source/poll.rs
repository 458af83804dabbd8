//! Lists, again and again: by wish, or where it may not watch.

use kube::{
    api::{ListParams, VersionMatch},
    runtime::watcher::ListSemantic,
};
use tokio::time::{Instant, sleep, timeout};
use tracing::instrument::WithSubscriber as _;

use super::{AGAIN_AFTER, LIST_WITHIN, OBJECTS_MAX, Source, right, silent};
use crate::{
    desk::Host,
    object::Object,
    report,
    trouble::{Kind, Step, Trouble},
};

impl<H: Host> Source<H> {
    /// Lists again and again, until that is refused, or it is time to try to watch.
    pub(super) async fn poll<O: Object>(&mut self, no_watch: Option<Trouble>) -> Option<Trouble> {
        if let Some(trouble) = &no_watch {
            let why = report::of_polling(trouble, right::<O>(), self.namespace.as_deref());
            self.note(format!("it polls every {:?}, as {why}", self.plan.polling_interval));
            self.retry.give_up_watching();
        }
        let begin = Instant::now();
        loop {
            let late =
                |_elapsed| Err(Trouble::failed(Step::List, format!("not whole within {LIST_WITHIN:?}")));
            let outcome = timeout(LIST_WITHIN, self.list::<O>()).await.unwrap_or_else(late);
            while let Ok(answer) = self.answers.try_recv() {
                self.handle_answer(answer);
            }
            match outcome {
                Ok(objects) if self.is_doubtful(&objects) => self.pause().await,
                Ok(objects) => {
                    let was_failing = self.retry.is_failing();
                    self.handle_list(objects);
                    // Whoever has mended something may have mended that too.
                    if no_watch.is_some() && (was_failing || begin.elapsed() >= AGAIN_AFTER) {
                        return None;
                    }
                    sleep(self.plan.polling_interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
                }
                Err(trouble) if matches!(trouble.kind, Kind::Forbidden | Kind::Unknown) => {
                    return Some(trouble);
                }
                Err(trouble) => self.fail::<O>(&trouble).await,
            }
        }
    }

    async fn list<O: Object>(&self) -> Result<Vec<O>, Trouble> {
        let api = self.api::<O>();
        let config = self.watcher_config::<O>();
        let mut params = ListParams {
            label_selector: config.label_selector,
            field_selector: config.field_selector,
            limit: config.page_size,
            ..ListParams::default()
        };
        if config.list_semantic == ListSemantic::Any {
            params = params.at("0").matching(VersionMatch::NotOlderThan);
        }
        let mut objects = Vec::new();
        loop {
            let failed = |err| Trouble::of_client(Step::List, &err);
            let page = api.list(&params).with_subscriber(silent()).await.map_err(failed)?;
            objects.extend(page.items);
            if objects.len() > OBJECTS_MAX {
                return Err(Trouble::failed(Step::List, format!("more than {OBJECTS_MAX} objects match")));
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(objects);
            }
        }
    }
}
