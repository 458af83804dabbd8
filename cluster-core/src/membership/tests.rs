//! Scripts against the membership in virtual time. See `script` for the language, `world` for who plays the
//! connectors and for what is checked after every step whatever the script says.

mod changing;
mod identity;
mod keeping;
mod leaving;
mod linking;
mod local;
mod random;
mod recall;
mod reports;
mod retry;
mod script;
mod sharing;
mod simulation;
mod ttl;
mod world;

use expect_test::Expect;

use self::{script::Op, world::World};

/// Runs a script and compares what happened: each operation, and below it its events and effects with the second
/// in which they happened.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "what is expected is written where it is passed")]
fn check(script: impl IntoIterator<Item = Op>, expected: Expect) {
    let mut world = World::new();
    for op in script {
        world.run(&op);
    }
    expected.assert_eq(&world.told);
}
