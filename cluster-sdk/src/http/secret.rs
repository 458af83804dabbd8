//! Secrets on their way into a request, and kept out of what is said of it.

use hyper::header::HeaderValue;

use super::error::Trouble;
use crate::Secret;

/// Shorter secrets are not looked for in what a server says: they would be found everywhere.
const HIDDEN_BYTES_MIN: usize = 4;

/// The secrets that were sent with one request.
#[derive(Default)]
pub(super) struct Spoken(Vec<String>);

// === impl Spoken ===

impl Spoken {
    #[cfg(test)]
    pub(super) fn of(secrets: &[&str]) -> Self {
        Self(secrets.iter().copied().map(str::to_owned).collect())
    }

    /// A text of the server's without them.
    pub(super) fn hide(&self, text: &str) -> String {
        let long = self.0.iter().filter(|secret| secret.len() >= HIDDEN_BYTES_MIN);
        long.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// The value of a header, read now and marked so that hyper shows it nowhere.
pub(super) fn header_value(
    name: &str,
    before: &str,
    secret: &Secret,
    spoken: &mut Spoken,
) -> Result<HeaderValue, Trouble> {
    let text = secret.reveal().map_err(|err| Trouble::Secret(name.to_owned(), err))?;
    let value = HeaderValue::from_str(&format!("{before}{text}"));
    let mut value =
        value.map_err(|_not_printable| Trouble::Header(format!("{name} in {}", secret.source())))?;
    value.set_sensitive(true);
    spoken.0.push(text);
    Ok(value)
}
