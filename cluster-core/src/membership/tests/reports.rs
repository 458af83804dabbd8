//! What reports do, and what they do not.

use expect_test::expect;

use super::{
    check,
    script::{Op, TCP, apply, complete, partial, topology, wait},
};

/// The first report makes members; the same once more is no news; a changed attribute is `node_updated`.
#[test]
fn a_view_makes_members() {
    check(
        [
            topology("t", None),
            complete("t", "a b~eu"),
            complete("t", "b~eu a"),
            complete("t", "b~us a"),
            complete("t", "a b~us"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b~eu]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b~eu discovered t=none
                0.0 node_up b~eu up t=none
                0.0 topology_changed t
            t is [b~eu a]
            t is [b~us a]
                0.0 node_updated b~us up t=none
            t is [a b~us]
        "#]],
    );
}

/// A look-up that fails is told as ill health and never as an empty list: the members stay.
#[test]
fn an_error_is_not_empty() {
    check(
        [topology("t", None), complete("t", "a b"), Op::Degraded("t", "403"), wait(3_600)],
        expect![[r#"
        topology t by none
            0.0 topology_changed t
        t is [a b]
            0.0 node_discovered a discovered t=none
            0.0 node_up a up t=none
            0.0 node_discovered b discovered t=none
            0.0 node_up b up t=none
            0.0 topology_changed t
        t degraded: 403
            0.0 topology_changed t: 403
        wait 3600 s
    "#]],
    );
}

/// Whom a partial view does not name is not withdrawn, however often it is not named.
#[test]
fn partial_prunes_nobody() {
    check(
        [topology("t", None), complete("t", "a b c"), partial("t", "d"), partial("t", ""), wait(3_600)],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 topology_changed t
            t has [d]
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
            t has []
            wait 3600 s
        "#]],
    );
}

/// A partial view does not hide from the next complete one whom it did not name.
#[test]
fn complete_after_partial() {
    check(
        [
            topology("t", None),
            complete("t", "a b c"),
            partial("t", "a b"),
            complete("t", "a b"),
            complete("t", "a b"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 topology_changed t
            t has [a b]
            t is [a b]
                0.0 node_updated c up t=none
            t is [a b]
                0.0 node_down c down t=none: its source does not name it any more
                0.0 node_left c: its source does not name it any more
        "#]],
    );
}

/// Changes merge into what was said before: they come at once, both ways.
#[test]
fn changes_merge() {
    check(
        [topology("t", None), complete("t", "a b c d e f"), apply("t", "+g -a"), apply("t", "-x +b~eu")],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d e f]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 node_discovered e discovered t=none
                0.0 node_up e up t=none
                0.0 node_discovered f discovered t=none
                0.0 node_up f up t=none
                0.0 topology_changed t
            t +[g] -[a]
                0.0 node_discovered g discovered t=none
                0.0 node_up g up t=none
                0.0 node_down a down t=none: its source says that it is gone
                0.0 node_left a: its source says that it is gone
            t +[b~eu] -[x]
                0.0 node_updated b~eu up t=none
        "#]],
    );
}

/// A new strategy instance begins with a whole view: until then its changes are refused, and so it is shown.
#[test]
fn changes_before_the_first_view_are_refused() {
    check(
        [
            topology("t", None),
            apply("t", "+a"),
            complete("t", "a"),
            apply("t", "+b"),
            Op::Stop("t"),
            Op::Start("t"),
            apply("t", "+c"),
            partial("t", ""),
            apply("t", "+c"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t +[a] -[]
                refused: report refused: changes came before the first whole view of this strategy instance
                0.0 topology_changed t: report refused: changes came before the first whole view of this strategy instance
            t is [a]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 topology_changed t
            t +[b] -[]
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
            strategy of t stops
            strategy of t starts
            t +[c] -[]
                refused: report refused: changes came before the first whole view of this strategy instance
                0.0 topology_changed t: report refused: changes came before the first whole view of this strategy instance
            t has []
                0.0 topology_changed t
            t +[c] -[]
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
        "#]],
    );
}

/// More than `members_max` are refused whole, and the topology is degraded until the next good report. Neither
/// changes of those who are there nor changes of place within the limit are too many.
#[test]
fn members_max() {
    check(
        [
            Op::Small("t"),
            complete("t", "a b c"),
            complete("t", "a b c d"),
            apply("t", "+d"),
            apply("t", "+d -c"),
            complete("t", "a~eu b~eu d~eu"),
            partial("t", "me a b d"),
            partial("t", "e"),
        ],
        expect![[r#"
            topology t of three by none
                0.0 topology_changed t
            t is [a b c]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 topology_changed t
            t is [a b c d]
                refused: report of 4 nodes: the topology's members_max is 3
                0.0 topology_changed t: report of 4 nodes: the topology's members_max is 3
            t +[d] -[]
                refused: report of 4 nodes: the topology's members_max is 3
            t +[d] -[c]
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 node_down c down t=none: its source says that it is gone
                0.0 node_left c: its source says that it is gone
                0.0 topology_changed t
            t is [a~eu b~eu d~eu]
                0.0 node_updated a~eu up t=none
                0.0 node_updated b~eu up t=none
                0.0 node_updated d~eu up t=none
            t has [me a b d]
                0.0 node_updated a up t=none
                0.0 node_updated b up t=none
                0.0 node_updated d up t=none
            t has [e]
                refused: report of 4 nodes: the topology's members_max is 3
                0.0 topology_changed t: report of 4 nodes: the topology's members_max is 3
        "#]],
    );
}

/// A source that names ever new nodes does not get rid of the old ones by that: they are all that was there, and
/// held. It is stopped when as many are kept for it as it may have.
#[test]
fn a_lying_source_is_bounded() {
    check(
        [
            Op::Small("t"),
            complete("t", "a b c"),
            complete("t", "d e f"),
            complete("t", "g"),
            complete("t", "d e f"),
            wait(301),
            complete("t", "g"),
        ],
        expect![[r#"
            topology t of three by none
                0.0 topology_changed t
            t is [a b c]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 topology_changed t
            t is [d e f]
                0.0 node_updated a up t=none
                0.0 node_updated b up t=none
                0.0 node_updated c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 node_discovered e discovered t=none
                0.0 node_up e up t=none
                0.0 node_discovered f discovered t=none
                0.0 node_up f up t=none
            t is [g]
                refused: report would make 6 nodes that are kept though the source let them go: at most members_max, 3
                0.0 topology_changed t: report would make 6 nodes that are kept though the source let them go: at most members_max, 3
            t is [d e f]
                0.0 node_updated a up t=none: its source does not name it any more
                0.0 node_updated b up t=none: its source does not name it any more
                0.0 node_updated c up t=none: its source does not name it any more
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            wait 301 s
                300.0 node_down a down t=none: its source let it go, and the hold on that is over
                300.0 node_left a: its source let it go, and the hold on that is over
                300.0 node_down b down t=none: its source let it go, and the hold on that is over
                300.0 node_left b: its source let it go, and the hold on that is over
                300.0 node_down c down t=none: its source let it go, and the hold on that is over
                300.0 node_left c: its source let it go, and the hold on that is over
                300.0 topology_changed t
            t is [g]
                301.0 node_updated d up t=none
                301.0 node_updated e up t=none
                301.0 node_updated f up t=none
                301.0 node_discovered g discovered t=none
                301.0 node_up g up t=none
        "#]],
    );
}

/// One record that is not valid refuses the whole report, and nothing has changed.
#[test]
fn an_invalid_record_refuses_the_report() {
    check(
        [
            topology("t", None),
            complete("t", "a b"),
            complete("t", "c ? d"),
            apply("t", "+c +?"),
            apply("t", "+c -?"),
            complete("t", "a b"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 topology_changed t
            t is [c ? d]
                refused: report refused: node name "no" is not of the form name@host
                0.0 topology_changed t: report refused: node name "no" is not of the form name@host
            t +[c ?] -[]
                refused: report refused: node name "no" is not of the form name@host
            t +[c] -[?]
                refused: report refused: node name "no" is not of the form name@host
            t is [a b]
                0.0 topology_changed t
        "#]],
    );
}

/// Of a name that a list has twice the later record counts.
#[test]
fn duplicate_names() {
    check(
        [topology("t", None), complete("t", "b~eu a~eu b~us a~us"), apply("t", "+c~eu +c~us")],
        expect![[r#"
        topology t by none
            0.0 topology_changed t
        t is [b~eu a~eu b~us a~us]
            0.0 node_discovered a~us discovered t=none
            0.0 node_up a~us up t=none
            0.0 node_discovered b~us discovered t=none
            0.0 node_up b~us up t=none
            0.0 topology_changed t
        t +[c~eu c~us] -[]
            0.0 node_discovered c~us discovered t=none
            0.0 node_up c~us up t=none
    "#]],
    );
}

/// A topology that is removed takes its members along; of two with one name the later counts.
#[test]
fn topologies_come_and_go() {
    check(
        [
            topology("t", None),
            complete("t", "a"),
            topology("t", TCP),
            complete("t", "b"),
            Op::Remove("t"),
            complete("t", "c"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 topology_changed t
            topology t by tcp
                0.0 node_down a down t=none: the topology was removed
                0.0 node_left a: the topology was removed
                0.0 topology_changed t: the topology was removed
                0.0 topology_changed t
            t is [b]
                0.0 node_discovered b discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect b
            remove t
                0.0 node_left b: the topology was removed
                0.0 topology_changed t: the topology was removed
                0.0 -> tcp cancel b
            t is [c]
                refused: bug: no topology t
        "#]],
    );
}
