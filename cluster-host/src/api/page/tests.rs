use expect_test::expect;

use super::*;

/// The document as it is answered, and that the browser is told what it may do with it.
#[test]
fn headers_of_the_document() {
    let answer = DOCUMENT.answer(&HeaderMap::new());
    assert_eq!(answer.status(), StatusCode::OK);
    let mut lines: Vec<String> = answer
        .headers()
        .iter()
        .filter(|(name, _)| *name != ETAG)
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
        .collect();
    lines.sort();
    expect![[r#"
        cache-control: no-cache
        content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'
        content-type: text/html; charset=utf-8
        cross-origin-resource-policy: same-origin
        referrer-policy: no-referrer
        x-content-type-options: nosniff
    "#]].assert_eq(&lines.concat());
}

/// Who has a file gets it once more only if it is another one, however the tag is written.
#[test]
fn only_if_it_has_changed() {
    for file in [DOCUMENT, STYLE, SCRIPT] {
        let answer = file.answer(&HeaderMap::new());
        let etag = answer.headers()[ETAG].to_str().unwrap().to_owned();
        for (known, status) in [
            (etag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"other\", W/{etag}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"other\"".to_owned(), StatusCode::OK),
            (etag.trim_matches('"').to_owned(), StatusCode::OK),
        ] {
            let asked = HeaderMap::from_iter([(IF_NONE_MATCH, known.parse().unwrap())]);
            let answer = file.answer(&asked);
            assert_eq!(answer.status(), status, "{known}");
            assert_eq!(answer.headers()[ETAG], etag);
        }
    }
    let tags = [DOCUMENT, STYLE, SCRIPT].map(File::etag);
    assert!(tags[0] != tags[1] && tags[1] != tags[2]);
}

/// The three files are small, ask nothing of anybody else, and have no script or style in the document.
#[test]
fn self_contained() {
    let all = [DOCUMENT, STYLE, SCRIPT].map(|file| str::from_utf8(file.content).unwrap());
    let bytes: usize = all.iter().map(|text| text.len()).sum();
    assert!(bytes < 64 * 1024, "{bytes} bytes");
    for text in all {
        // A name of XML, not an address.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("//www") && !text.contains("http://") && !text.contains("https://"));
    }
    let [document, _, script] = all;
    assert!(!document.contains("<style") && !document.contains(" style=") && !document.contains("onclick="));
    assert_eq!(document.matches("<script").count(), 1);
    for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
        assert!(!script.contains(sink), "{sink}");
    }
}
