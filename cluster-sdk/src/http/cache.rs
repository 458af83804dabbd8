//! Answers that are kept, to be asked for only if they have changed.

use bytes::Bytes;
use hyper::{
    HeaderMap,
    header::{ETAG, HeaderValue},
};

/// Answers that are kept at most, as of the pages of a list.
const ANSWERS_MAX: usize = 256;

/// Answers by address, the one that was used last at the end.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: Vec<Kept>,
    bytes: u64,
}

#[derive(Debug)]
struct Kept {
    whole_url: String,
    etag: HeaderValue,
    headers: HeaderMap,
    body: Bytes,
}

// === impl Cache ===

impl Cache {
    /// By what the answer is recognised that is kept of an address.
    pub(super) fn etag(&self, whole_url: &str) -> Option<HeaderValue> {
        self.kept.iter().find(|kept| kept.whole_url == whole_url).map(|kept| kept.etag.clone())
    }

    /// The headers and the body that are kept of an address. They are the latest from then on.
    pub(super) fn reuse(&mut self, whole_url: &str) -> Option<(HeaderMap, Bytes)> {
        let place = self.kept.iter().position(|kept| kept.whole_url == whole_url)?;
        self.kept.get_mut(place..)?.rotate_left(1);
        self.kept.last().map(|kept| (kept.headers.clone(), kept.body.clone()))
    }

    /// Keeps an answer that says by what it can be recognised, in place of those that were not used for longest.
    pub(super) fn keep(&mut self, whole_url: String, headers: &HeaderMap, body: &Bytes, bytes_max: u64) {
        if self.reuse(&whole_url).is_some() {
            let former = self.kept.pop();
            self.bytes = self.bytes.saturating_sub(former.map_or(0, |former| length(&former.body)));
        }
        let Some(etag) = headers.get(ETAG).cloned() else { return };
        self.bytes = self.bytes.saturating_add(length(body));
        self.kept.push(Kept { whole_url, etag, headers: headers.clone(), body: body.clone() });
        while self.bytes > bytes_max || self.kept.len() > ANSWERS_MAX {
            let oldest = self.kept.remove(0);
            self.bytes = self.bytes.saturating_sub(length(&oldest.body));
        }
    }
}

fn length(body: &Bytes) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The latest stay, as many as there is room for; what has no tag is not kept.
    #[test]
    fn bounded() {
        let mut cache = Cache::default();
        let body = Bytes::from_static(b"12345");
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("\"a\""));
        for url in ["a", "b", "a", "c"] {
            cache.keep(url.to_owned(), &headers, &body, 10);
        }
        assert_eq!((cache.etag("b"), cache.etag("c")), (None, Some(headers[ETAG].clone())));
        assert_eq!(cache.reuse("a").unwrap().1, body);
        cache.keep("b".to_owned(), &headers, &body, 10);
        assert!(cache.reuse("c").is_none() && cache.reuse("a").is_some());
        for url in ["a", "b"] {
            cache.keep(url.to_owned(), &HeaderMap::new(), &body, 10);
        }
        assert!(cache.kept.is_empty() && cache.bytes == 0, "{cache:?}");
        (0..300).for_each(|url| cache.keep(url.to_string(), &headers, &Bytes::new(), 10));
        assert_eq!((cache.kept.len(), cache.kept[0].whole_url.as_str()), (ANSWERS_MAX, "44"));
    }
}
