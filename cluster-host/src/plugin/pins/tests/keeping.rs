//! What was loaded survives the file that it came from.

use super::*;
use crate::plugin::{KEPT_BYTES_MAX, KEPT_CONTENTS_MAX, RollbackError, roll_back};

const PINS: &str = "lock = 'plugins.lock'\nkeep = 'kept'";

impl Place {
    /// Does what a host does that starts: takes what there is, and keeps it.
    fn use_it(&self, plugins: &str) -> ContentHash {
        let registry = self.pin(plugins).unwrap();
        let used = registry.files()[0].result.as_ref().unwrap();
        registry.keep(used).unwrap();
        used.content.unwrap()
    }

    /// The contents that are kept of the one file.
    fn kept(&self) -> Vec<String> {
        let directory = self.path("kept").join(FILE);
        let names = fs::read_dir(directory).into_iter().flatten();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn roll_back(&self) -> Result<ContentHash, String> {
        let registry = self.pin(PINS).unwrap();
        roll_back(&registry, "plugin-faulty")
            .map(|back| back.content)
            .map_err(|error| error.to_string().replace(self.0.path().to_str().unwrap(), "DIR"))
    }
}

/// A file that comes before its lock is pending: the content of before is used in its place, as often as one looks,
/// and so it is while a file is copied or damaged. Once the lock names the new content, that is used.
#[test]
fn pending() {
    let place = Place::new();
    let one = place.put("one");
    place.lock(&[one]);
    assert_eq!(place.use_it(PINS), one);
    assert_eq!(fs::metadata(place.path("kept")).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(place.kept(), [format!("{one}.so")]);

    let two = place.put("two");
    let kept = format!("DIR/kept/{FILE}/{one}.so in place of DIR/plugins/{FILE}");
    let state = place.state(PINS);
    let expected = format!("{kept}: not a content that is pinned for plugin-faulty: its SHA-256 is {two}; ");
    assert!(state.starts_with(&expected), "{state}");
    for _ in 0..2 {
        assert_eq!(place.use_it(PINS), one);
    }
    assert_eq!(place.pin(PINS).unwrap().pending().count(), 1);
    fs::write(place.file(), &plugin("two")[..100_000]).unwrap();
    assert!(place.state(PINS).starts_with(&format!("{kept}: cut off: ")), "{}", place.state(PINS));

    place.put("two");
    place.lock(&[two]);
    assert_eq!(place.state(PINS), "locked");
    assert_eq!(place.use_it(PINS), two);
    assert_eq!(place.kept().len(), 2);
    // What the lock does not name any more is not good any more, kept or not.
    place.put("one");
    assert!(place.state(PINS).starts_with(&format!("DIR/kept/{FILE}/{two}.so in place of")));
    place.lock(&[place.put("three")]);
    place.put("two");
    assert!(
        place.state(PINS).starts_with(&format!("DIR/plugins/{FILE}: not a content")),
        "{}",
        place.state(PINS)
    );
}

/// A copy that is not what its name says is not used, nor is one that others could have written.
#[test]
fn bad_copies() {
    let place = Place::new();
    let one = place.put("one");
    place.lock(&[one]);
    place.use_it(PINS);
    place.put("two");
    let copy = place.path("kept").join(FILE).join(format!("{one}.so"));
    assert!(place.state(PINS).starts_with("DIR/kept/"));
    fs::set_permissions(&copy, Permissions::from_mode(0o666)).unwrap();
    assert!(place.state(PINS).starts_with("DIR/plugins/"));
    fs::set_permissions(&copy, Permissions::from_mode(0o600)).unwrap();
    assert!(place.state(PINS).starts_with("DIR/kept/"));
    fs::write(&copy, plugin("two")).unwrap();
    assert!(place.state(PINS).starts_with("DIR/plugins/"));
}

/// So many contents are kept and no more, the one in use always; nothing where it is not asked for, or nothing is
/// pinned.
#[test]
fn no_more_than_the_limit() {
    let place = Place::new();
    let marks = ["one", "two", "three", "four", "five", "six"];
    let contents = marks.map(|mark| place.put(mark));
    place.lock(&contents);
    for (mark, content) in marks.iter().zip(contents) {
        place.put(mark);
        assert_eq!(place.use_it(PINS), content);
        assert!(place.kept().contains(&format!("{content}.so")));
    }
    assert_eq!(place.kept().len(), KEPT_CONTENTS_MAX);
    assert!(!place.kept().contains(&format!("{}.so", contents[0])));
    assert!(!place.kept().contains(&format!("{}.so", contents[1])));

    // In all not so many bytes: what was used longest ago goes first, whichever file it is of.
    let large = place.path("kept/large.so").join(format!("{}.so", contents[5]));
    fs::create_dir(large.parent().unwrap()).unwrap();
    File::create(&large).unwrap().set_len(KEPT_BYTES_MAX).unwrap();
    let unfinished = place.path("kept").join(FILE).join("unfinished.so.new");
    fs::write(&unfinished, "half").unwrap();
    place.put("one");
    place.use_it(PINS);
    assert_eq!(place.kept(), [format!("{}.so", contents[0])]);
    assert!(!large.exists() && !unfinished.exists());

    let other = Place::new();
    other.lock(&[other.put("one")]);
    other.use_it("lock = 'plugins.lock'");
    let registry = other.pin("keep = 'kept'").unwrap();
    registry.keep(registry.files()[0].result.as_ref().unwrap()).unwrap();
    assert_eq!(other.kept().len(), 0);
}

/// Back to the content before, as the lock has them, and no further than it names and is kept; from a pending file to
/// what is used in its place.
#[test]
fn rolling_back() {
    let place = Place::new();
    let [one, two, three] = ["one", "two", "three"].map(|mark| {
        let content = place.put(mark);
        place.lock(&[content]);
        place.use_it(PINS);
        content
    });
    place.lock(&[three, two, one]);
    assert_eq!(place.roll_back(), Ok(two));
    assert_eq!(place.state(PINS), "locked");
    assert_eq!(inspect_content(&place.file()).unwrap().content, Some(two));
    assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(place.roll_back(), Ok(one));
    let nothing = format!(
        "no earlier content of DIR/plugins/{FILE} is both kept and pinned: kept is what was loaded, \
         pinned what `plugins lock --add` left in the lock file"
    );
    assert_eq!(place.roll_back(), Err(nothing.clone()));
    assert_eq!(inspect_content(&place.file()).unwrap().content, Some(one));

    place.put("three");
    place.lock(&[three]);
    assert_eq!(place.roll_back(), Err(nothing));
    place.put("four");
    place.use_it(PINS);
    assert_eq!(place.roll_back(), Ok(three), "of a pending file, what is used in its place");
    assert_eq!(place.state(PINS), "locked");
    assert_eq!(fs::read_dir(place.path("plugins")).unwrap().count(), 1, "nothing is left beside it");
}

/// Where there is nothing to go back to it is said why.
#[test]
fn nothing_to_roll_back() {
    let place = Place::new();
    let back = |plugins: &str, name: &str| {
        let error: RollbackError = roll_back(&place.pin(plugins).unwrap(), name).unwrap_err();
        error.to_string().replace(place.0.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(
        back("", "plugin-faulty"),
        "nothing is kept to go back to: set keep = \"DIR\" in [plugins], and run the host with it"
    );
    assert_eq!(
        back("keep = 'kept'", "plugin-faulti"),
        "there is no plugin \"plugin-faulti\" in the plugin directory; there is plugin-faulty"
    );
    assert_eq!(
        back("keep = 'kept'", FILE),
        format!("DIR/plugins/{FILE} is unpinned: only what the lock file or sha256 name is kept")
    );
}
