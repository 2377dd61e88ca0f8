//! Roles over the socket: what a viewer, an operator and an admin may, each as a process of a user of its own.

use super::running::{Place, Ran};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Users that exist nowhere: the socket knows them by number.
const VIEWER: u32 = 54_321;
const OPERATOR: u32 = 54_322;
const ADMIN: u32 = 54_323;
const NOBODY: u32 = 54_324;

fn open_to_all(place: &Place, name: &str) {
    std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn run_as(place: &Place, uid: u32, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringtree"));
    command.args(arguments).current_dir(place.path("")).uid(uid).gid(uid);
    command.env("RINGTREE_SOCKET", place.path("ringtree-data/admin.sock"));
    Ran::of(command.output().unwrap())
}

#[test]
fn each_role_may_what_it_may_and_no_more() {
    if !rustix::process::geteuid().is_root() {
        // Only root can be several users. In a container, where tests mostly run, one is root.
        return;
    }
    let place = Place::new();
    let config = std::fs::read_to_string(place.path("ringtree.toml")).unwrap();
    place.write(
        "ringtree.toml",
        &format!(
            "{config}[admin]\nroles = {{ \"{VIEWER}\" = \"viewer\", \"{OPERATOR}\" = \"operator\", \"{ADMIN}\" = \"admin\" }}\n"
        ),
    );
    let _running = place.start();
    for name in ["", "rules", "ringtree-data"] {
        open_to_all(&place, name);
    }
    let verbs: [(&[&str], u32); 11] = [
        (&["user", "list"], VIEWER),
        (&["history"], VIEWER),
        (&["blame", "user:ada"], VIEWER),
        (&["export", "--json", "out"], VIEWER),
        (&["route", "--to", "101", "--from", "102"], VIEWER),
        (&["user", "set", "ada", "dnd=on"], OPERATOR),
        (&["user", "set", "ada", "name=Ada King"], ADMIN),
        (&["diff", "rules"], ADMIN),
        (&["apply", "rules"], ADMIN),
        (&["rollback", "1"], ADMIN),
        (&["list", "set", "x", "numbers=[\"+1900.\"]"], ADMIN),
    ];
    for (verb, least) in verbs {
        for uid in [NOBODY, VIEWER, OPERATOR, ADMIN] {
            let ran = run_as(&place, uid, verb);
            let may = uid != NOBODY && uid >= least;
            let refused = ran.err.contains("this needs");
            assert_eq!(refused, !may, "{uid} {verb:?}: {} {}", ran.out, ran.err);
            if !may {
                assert_eq!(ran.code, 2);
            }
        }
    }
}
