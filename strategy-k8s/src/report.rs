//! What people read of what went wrong.

use crate::{
    rights::{Grant, Right, is_anonymous, user_of},
    trouble::{Kind, Step, Trouble},
};

/// In one line: what, where, why.
pub(crate) fn of_trouble(trouble: &Trouble, plural: &str, place: &str, server: &str) -> String {
    let step = match trouble.step {
        Step::List => "list",
        Step::Watch => "watch",
    };
    let words = &trouble.words;
    match trouble.kind {
        Kind::Unauthenticated => format!(
            "{server} does not take our token: {words}; it is expired or of another cluster: write a good one to its file, which is read anew at each try"
        ),
        Kind::Forbidden => format!("may not {step} {plural} in {place} at {server}: {words}"),
        Kind::Unknown => format!("{server} has no {plural}: {words}"),
        Kind::Expired | Kind::Garbled | Kind::Failed => {
            let is_alone = words.contains("tcp connect error");
            let hint =
                if is_alone { "; is the control plane up, and is kubernetes_master right?" } else { "" };
            format!("cannot {step} {plural} in {place} at {server}: {words}{hint}")
        }
    }
}

/// What to do about missing rights.
pub(crate) fn remedy(right: Right, namespace: Option<&str>, trouble: &Trouble) -> String {
    match user_of(&trouble.words) {
        Some(user) if is_anonymous(user) => {
            "No token was sent that counts: mount the service account's (automountServiceAccountToken)"
                .to_owned()
        }
        _ => format!("Apply:\n{}", grant(right, namespace, trouble)),
    }
}

/// Why it does not watch what it may list.
pub(crate) fn of_polling(trouble: &Trouble, right: Right, namespace: Option<&str>) -> String {
    let (plural, words) = (right.plural, &trouble.words);
    match trouble.kind {
        Kind::Forbidden => {
            format!(
                "it may list {plural} but not watch: {words}. Apply:\n{}",
                grant(right, namespace, trouble)
            )
        }
        _ => format!("{plural} can be listed but not watched: {words}"),
    }
}

/// The rights that are missing, in YAML.
fn grant(right: Right, namespace: Option<&str>, trouble: &Trouble) -> String {
    let user = user_of(&trouble.words).unwrap_or("system:serviceaccount:NAMESPACE:NAME");
    Grant { right, namespace, user }.to_string()
}
