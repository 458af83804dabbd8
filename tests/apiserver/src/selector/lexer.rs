//! The words of a label selector.

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Identifier,
    In,
    NotIn,
    /// `=` or `==`.
    Equals,
    NotEquals,
    Not,
    Open,
    Close,
    Comma,
    /// Signs that mean nothing here.
    Unknown,
    End,
}

/// Where a word stands: `in` and `notin` are operators only behind a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    KeyAndOperator,
    Values,
}

/// Takes a selector apart.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

// === impl Lexer ===

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next word, which stays the next one.
    pub(super) fn peek(&self, context: Context) -> (Token, &'a str) {
        self.scan(context).0
    }

    /// The next word.
    pub(super) fn next(&mut self, context: Context) -> (Token, &'a str) {
        let (word, rest) = self.scan(context);
        self.rest = rest;
        word
    }

    fn scan(&self, context: Context) -> ((Token, &'a str), &'a str) {
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(first) = text.chars().next() else {
            return ((Token::End, ""), "");
        };
        if is_sign(first) {
            let (token, length) = sign(text);
            let (word, rest) = text.split_at(length);
            return ((token, word), rest);
        }
        let end = text.find(|c| is_sign(c) || is_space(c)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let token = match (word, context) {
            ("in", Context::KeyAndOperator) => Token::In,
            ("notin", Context::KeyAndOperator) => Token::NotIn,
            _ => Token::Identifier,
        };
        ((token, word), rest)
    }
}

const fn is_sign(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The longest sign at the beginning, and its length.
fn sign(text: &str) -> (Token, usize) {
    let signs = [
        ("==", Token::Equals),
        ("!=", Token::NotEquals),
        ("=", Token::Equals),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
    ];
    let found = signs.into_iter().find(|(sign, _)| text.starts_with(sign));
    found.map_or((Token::Unknown, 1), |(sign, token)| (token, sign.len()))
}
