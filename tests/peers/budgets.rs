//! Budgets over a restart: what was spent is spent, and `route` says so.

use crate::office::Rules;
use crate::support::until;

#[test]
fn what_was_spent_is_spent_after_a_kill_and_route_says_so() {
    let budget = "budget = { national = { calls_per_hour = 1, time_per_day = \"1h\" } }";
    let office = Rules::default().user("ann", "100", &["ann"], budget).open();
    let carrier = office.trunk(0, "callee").start().listening();
    office.dial("ann", "+12025550150").run();
    carrier.succeeds();
    let record = office.record_to("+12025550150");
    crate::assert_tags(&record, &["class:national", "budget:national", "route:carrier"]);
    let office = office.restarted();
    office.refused("ann", "+12025550151", 403).run();
    let record = office.record_to("+12025550151");
    crate::assert_tags(&record, &["denied:budget:national", "reject:403"]);
    let route = office.daemon.verb(&["route", "--to", "+12025550151", "--from", "100"]);
    let said = String::from_utf8_lossy(&route.stdout).into_owned();
    assert!(said.contains("denied:budget:national"), "{said}");
    assert!(
        said.contains("ann's calls_per_hour of national is used up: 1 of 1 calls in the last hour"),
        "{said}"
    );
    let metrics = until("the metrics", || office.daemon.request("GET", "/v1/status", None).ok());
    assert_eq!(metrics.1["counters"]["budget_refusals_total"], 1, "{}", metrics.1);
}
