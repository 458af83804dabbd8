//! `${VAR}` and `${VAR:-default}` inside of strings.

/// Bytes that variables may add to a configuration at most, so that a few bytes of it cannot become gigabytes.
const EXPANDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Replaces variables, over all strings of a configuration.
pub(super) struct Expander<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    bytes_left: usize,
}

// === impl Expander ===

impl<'a> Expander<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { env, bytes_left: EXPANDED_BYTES_MAX }
    }

    /// The text with its variables replaced. What they stand for is not looked at again.
    pub(super) fn expand(&mut self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            rest = match after.chars().next() {
                Some('$') => {
                    expanded.push('$');
                    after.strip_prefix('$').unwrap_or_default()
                }
                Some('{') => {
                    let inner = after.strip_prefix('{').unwrap_or_default();
                    let (reference, after) =
                        inner.split_once('}').ok_or("`${` without `}`: write `$$` for a plain `$`")?;
                    let value = self.value(reference)?;
                    self.bytes_left = self
                        .bytes_left
                        .checked_sub(value.len())
                        .ok_or_else(|| format!("variables add more than {EXPANDED_BYTES_MAX} bytes"))?;
                    expanded.push_str(&value);
                    after
                }
                Some(_) | None => {
                    expanded.push('$');
                    after
                }
            };
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn value(&self, reference: &str) -> Result<String, String> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name || name.bytes().next().is_none_or(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "`${{{reference}}}` is no variable: write `${{NAME}}` or `${{NAME:-default}}`"
            ));
        }
        match ((self.env)(name), default) {
            // As in a shell: an empty variable is as good as none where there is a default.
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(format!(
                "environment variable {name} is not set: set it, or write `${{{name}:-default}}`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands for what.
    #[test]
    fn expansions() {
        let env = |name: &str| match name {
            "IP" => Some("10.0.0.7".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${IP}$$".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("", Ok("")),
            ("plain é", Ok("plain é")),
            ("a@${IP}", Ok("a@10.0.0.7")),
            ("${IP}${IP}", Ok("10.0.0.710.0.0.7")),
            ("${NO:-b}", Ok("b")),
            ("${NO:-}", Ok("")),
            ("${NO:-a:-b}", Ok("a:-b")),
            ("${IP:-b}", Ok("10.0.0.7")),
            ("${EMPTY}", Ok("")),
            ("${EMPTY:-b}", Ok("b")),
            ("$${IP}", Ok("${IP}")),
            ("$$$$", Ok("$$")),
            ("$", Ok("$")),
            ("a$b", Ok("a$b")),
            ("${TRICKY}", Ok("${IP}$$")),
            ("${NO}", Err("environment variable NO is not set: set it, or write `${NO:-default}`")),
            ("${IP", Err("`${` without `}`: write `$$` for a plain `$`")),
            ("${}", Err("`${}` is no variable: write `${NAME}` or `${NAME:-default}`")),
            ("${1A}", Err("`${1A}` is no variable: write `${NAME}` or `${NAME:-default}`")),
            ("${A-b}", Err("`${A-b}` is no variable: write `${NAME}` or `${NAME:-default}`")),
        ] {
            let expanded = Expander::new(&env).expand(text);
            assert_eq!(expanded.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    /// A large variable that is named many times does not fill the memory.
    #[test]
    fn bounded() {
        let env = |_: &str| Some("x".repeat(1024 * 1024));
        let err = Expander::new(&env).expand(&"${X}".repeat(100_000)).unwrap_err();
        assert_eq!(err, "variables add more than 4194304 bytes");
    }
}
