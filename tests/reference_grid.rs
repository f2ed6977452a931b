//! The reference grid, asked directly.

#![allow(clippy::unwrap_used)]

use gridproof::client::{Common, Credentials, Form, Viewer};
use gridproof::grid::{Account, Grid, GridConfig};
use gridproof::net::{Timeline, http};
use gridproof::proto::llsd::Llsd;
use gridproof::proto::login::{METHOD, Reply, Request, hash_password};
use gridproof::proto::template::Template;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(20);

async fn grid(config: GridConfig) -> Grid {
    let accounts = vec![Account::new("Jane", "Doe", "pw"), Account::new("John", "Doe", "pw")];
    Grid::start(GridConfig { accounts, time_factor: 40, ..config }).await.unwrap()
}

fn viewer(grid: &Grid, first: &str) -> Viewer {
    let common = Common {
        login_uri: grid.login_uri.clone(),
        http: http::Client::new(),
        template: Template::shipped().clone(),
        time_factor: grid.time_factor,
        time_scale: 1.0,
        most_patience: std::time::Duration::MAX,
        login_turn: std::sync::Arc::default(),
    };
    let credentials =
        Credentials { first: first.into(), last: "Doe".into(), password: "pw".into() };
    Viewer::new(first, credentials, common, Timeline::start())
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_asked_for_where_the_grid_wants_them_agreed_to() {
    let grid = grid(GridConfig { require_tos: true, ..GridConfig::default() }).await;
    let mut jane = viewer(&grid, "Jane");
    let mut request = Request::new("Jane", "Doe", &hash_password("pw"), "last");
    request.remove("agree_to_tos");
    let uri = grid.login_uri.clone();
    for (agreed, granted) in [(None, false), (Some(false), false), (Some(true), true)] {
        if let Some(agreed) = agreed {
            request.set("agree_to_tos", Llsd::Boolean(agreed));
        }
        let exchange = jane.login_call(&uri, METHOD, Form::XmlRpc, &request, WITHIN).await.unwrap();
        match Reply::parse(&exchange.members.unwrap()).unwrap() {
            Reply::Success(_) => assert!(granted),
            Reply::Failure { reason, .. } => assert_eq!((reason.as_str(), granted), ("tos", false)),
            Reply::Indeterminate { .. } => panic!("never sent"),
        }
    }
    jane.log_out().await;
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_enters_and_leaves_leaves_nothing_behind() {
    let grid = grid(GridConfig::default()).await;
    let (mut jane, mut john) = (viewer(&grid, "Jane"), viewer(&grid, "John"));
    jane.enter("last", WITHIN).await.unwrap();
    john.enter("uri:Gamma&1&2&30", WITHIN).await.unwrap();
    assert_eq!(grid.population(), 2);
    assert!(jane.log_out().await);
    assert!(john.log_out().await);
    assert_eq!(grid.population(), 0);
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_presence_is_ended_and_the_login_tried_once_more() {
    let grid = grid(GridConfig::default()).await;
    let (mut first, mut second) = (viewer(&grid, "Jane"), viewer(&grid, "Jane"));
    first.enter("last", WITHIN).await.unwrap();
    second.enter("last", WITHIN).await.unwrap();
    assert!(first.hear("root", "KickUser", WITHIN).await.is_some());
    let rows = second.timeline.rows();
    assert!(rows.iter().any(|row| row.text.contains("stale presence")));
    assert_eq!(grid.population(), 1);
    assert!(second.log_out().await);
    assert_eq!(grid.population(), 0);
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_cut_short_leaves_no_session_behind() {
    let grid = grid(GridConfig::default()).await;
    for _ in 0..20 {
        let mut jane = viewer(&grid, "Jane");
        let cut = Duration::from_micros(rand::random_range(0..4000));
        let _ = tokio::time::timeout(cut, jane.enter("last", WITHIN)).await;
        jane.log_out().await;
        assert_eq!(grid.population(), 0);
    }
    grid.shutdown().await;
}
