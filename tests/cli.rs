//! The program as a person or a script meets it: arguments, exit codes, what goes to which stream.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail it")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// The program with a clean environment, so that the machine's own settings don't matter.
fn satchel(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_satchel"));
    command.env_clear().env("SATCHEL_DATA_DIR", data_dir).current_dir(data_dir.parent().unwrap());
    command.stdin(Stdio::null());
    command
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn one_object(text: &str) -> Value {
    assert_eq!(text.trim_end().lines().count(), 1, "not one line: {text}");
    serde_json::from_str(text).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A data folder, made.
fn made(arguments: &[&str]) -> (tempfile::TempDir, std::path::PathBuf, Value) {
    let parent = tempfile::tempdir().unwrap();
    let data_dir = parent.path().join("data");
    let output = satchel(&data_dir).args(["init", "--json"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let answer = one_object(&out(&output));
    (parent, data_dir, answer)
}

#[test]
fn init_makes_a_closed_folder_and_says_what_it_made() {
    let (_parent, data_dir, answer) = made(&["--network", "regtest"]);
    assert_eq!(mode(&data_dir), 0o700);
    for file in ["seed", "admin.key", "config.toml"] {
        assert_eq!(mode(&data_dir.join(file)), 0o600, "{file}");
    }
    let key = std::fs::read_to_string(data_dir.join("admin.key")).unwrap();
    assert_eq!(answer["admin_key"], key.trim());
    assert!(key.starts_with("satchel_") && key.trim().len() == 72);
    assert_eq!((&answer["network"], &answer["seed"]), (&json!("regtest"), &Value::Null));
    assert_eq!(answer["data_dir"], data_dir.to_str().unwrap());
    assert_eq!(answer["config"], data_dir.join("config.toml").to_str().unwrap());
    let words = std::fs::read_to_string(data_dir.join("seed")).unwrap();
    assert_eq!(words.split_whitespace().count(), 24);
    let config = std::fs::read_to_string(data_dir.join("config.toml")).unwrap();
    assert!(config.contains("\nnetwork = \"regtest\"\n"));
}

#[test]
fn init_shows_the_seed_once_to_people_and_on_demand_to_programs() {
    let parent = tempfile::tempdir().unwrap();
    let data_dir = parent.path().join("data");
    let output = satchel(&data_dir).arg("init").output().unwrap();
    let shown = out(&output);
    for word in std::fs::read_to_string(data_dir.join("seed")).unwrap().split_whitespace() {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    let key = std::fs::read_to_string(data_dir.join("admin.key")).unwrap();
    assert!(shown.contains("24 ") && !shown.contains(key.trim()));

    let (_parent, data_dir, answer) = made(&["--show-seed"]);
    let words = std::fs::read_to_string(data_dir.join("seed")).unwrap();
    assert_eq!(answer["seed"], words.trim());
}

#[test]
fn init_never_touches_a_seed_that_is_there() {
    let (_parent, data_dir, _) = made(&[]);
    let before = std::fs::read_to_string(data_dir.join("seed")).unwrap();
    for arguments in [vec!["init"], vec!["init", "--restore"], vec!["--json", "init", "--network", "signet"]]
    {
        let output = satchel(&data_dir).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(err(&output).contains("never overwritten") && out(&output).is_empty(), "{}", err(&output));
    }
    assert_eq!(std::fs::read_to_string(data_dir.join("seed")).unwrap(), before);
}

#[test]
fn init_goes_on_where_it_was_interrupted() {
    let (_parent, data_dir, answer) = made(&["--network", "signet"]);
    std::fs::remove_file(data_dir.join("seed")).unwrap();
    let output = satchel(&data_dir).args(["init", "--json"]).output().unwrap();
    let again = one_object(&out(&output));
    assert_eq!((&again["admin_key"], &again["network"]), (&answer["admin_key"], &json!("signet")));
    assert!(data_dir.join("seed").exists());

    std::fs::remove_file(data_dir.join("seed")).unwrap();
    let output = satchel(&data_dir).args(["init", "--network", "bitcoin"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("is for signet, not bitcoin") && !data_dir.join("seed").exists());
}

#[test]
fn init_restores_words_with_a_warning() {
    let words = format!("{} about", ["abandon"; 11].join(" "));
    let restore = |text: &str| {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = parent.path().join("data");
        let mut child = satchel(&data_dir)
            .args(["init", "--restore", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let seed = std::fs::read_to_string(data_dir.join("seed")).ok();
        (output, seed, data_dir.exists())
    };
    let (output, seed, _) = restore(&words.to_uppercase());
    assert!(
        output.status.success() && err(&output).contains("do NOT bring back channels"),
        "{}",
        err(&output)
    );
    assert_eq!(seed.unwrap().trim(), words);
    let (output, seed, folder) = restore("not really words");
    assert_eq!((output.status.code(), seed, folder), (Some(2), None, false));
    assert!(!err(&output).contains("not really words"));
}

#[test]
fn wrong_usage_ends_with_2() {
    let (_parent, data_dir, _) = made(&[]);
    for arguments in [
        &["no-such-command"][..],
        &["status", "--no-such-option"],
        &["init", "--network", "mainnet"],
        &["channel", "open", "02ab@host:1", "5"],
        &["invoice", "many"],
        &[],
    ] {
        let output = satchel(&data_dir).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        assert!(out(&output).is_empty());
    }
    for (network, hint) in
        [("mainnet", "write bitcoin"), ("testnet4", "signet"), ("localhost", "write regtest")]
    {
        let output = satchel(&data_dir).args(["init", "--network", network]).output().unwrap();
        assert!(err(&output).contains(hint), "{network}: {}", err(&output));
    }
    let output = satchel(&data_dir).args(["--json", "no-such-command"]).output().unwrap();
    assert_eq!(
        (output.status.code(), &one_object(&err(&output))["error"]["code"]),
        (Some(2), &json!("usage"))
    );
}

#[test]
fn help_and_version_are_answers() {
    let (_parent, data_dir, _) = made(&[]);
    for arguments in [&["--help"][..], &["--version"], &["channel", "open", "--help"]] {
        let output = satchel(&data_dir).args(arguments).output().unwrap();
        assert!(
            output.status.success() && !out(&output).is_empty() && err(&output).is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_wrong_configuration_ends_with_2_and_the_line() {
    let (_parent, data_dir, _) = made(&[]);
    std::fs::write(data_dir.join("config.toml"), "[http]\nlistn = \"x\"\n").unwrap();
    let output = satchel(&data_dir).arg("status").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = err(&output);
    assert!(
        told.starts_with("error: ")
            && told.contains("config.toml:2")
            && told.contains("\n  help: did you mean"),
        "{told}"
    );
    let output = satchel(&data_dir).args(["status", "--json"]).output().unwrap();
    let error = one_object(&err(&output));
    assert_eq!(error["error"]["code"], "config");
    assert!(error["error"]["help"].as_str().unwrap().contains("http.listen"));
}

#[test]
fn without_a_key_or_a_server_the_commands_say_so() {
    let parent = tempfile::tempdir().unwrap();
    let output = satchel(&parent.path().join("none")).arg("status").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("satchel init"), "{}", err(&output));

    let (_parent, data_dir, _) = made(&[]);
    let output =
        satchel(&data_dir).env("SATCHEL_ADMIN_LISTEN", "127.0.0.1:1").arg("status").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("satchel run"), "{}", err(&output));
}

#[test]
fn doctor_works_without_a_node_and_fails_where_something_is_wrong() {
    let (_parent, data_dir, _) = made(&["--network", "regtest"]);
    let doctor = |source: &str| {
        let config = format!(
            "network = \"regtest\"\n[http]\nlisten = \"127.0.0.1:{}\"\n[admin]\nlisten = \"\"\n{source}",
            free_port()
        );
        std::fs::write(data_dir.join("config.toml"), config).unwrap();
        let output = satchel(&data_dir).args(["doctor", "--json"]).output().unwrap();
        (output.status.code(), one_object(&out(&output)))
    };
    let status = |report: &Value, name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).map(|check| check["status"].clone())
    };
    let (code, report) = doctor("");
    assert_eq!((code, status(&report, "configuration")), (Some(4), Some(json!("FAIL"))), "{report}");

    let electrum = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!(
        "[chain]\nsource = \"electrum\"\nelectrum_url = \"tcp://{}\"",
        electrum.local_addr().unwrap()
    );
    let (code, report) = doctor(&source);
    assert_eq!(code, Some(0), "{report}");
    for (name, expected) in
        [("chain source", "OK"), ("seed", "OK"), ("satchel", "WARN"), ("configuration", "OK")]
    {
        assert_eq!(status(&report, name), Some(json!(expected)), "{name}: {report}");
    }
    let missing =
        report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "satchel").unwrap();
    assert!(missing["message"].as_str().unwrap().contains("were not looked at"), "{missing}");
    let help = out(&satchel(&data_dir).arg("--help").output().unwrap());
    assert!(help.contains("doctor said FAIL (a WARN alone is 0)"), "{help}");
    std::fs::set_permissions(data_dir.join("seed"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, report) = doctor(&source);
    assert_eq!((code, status(&report, "seed"), &report["ok"]), (Some(4), Some(json!("FAIL")), &json!(false)));
}

#[test]
fn doctor_says_what_to_write_in_place_of_names_of_other_programs() {
    let (_parent, data_dir, _) = made(&["--network", "regtest"]);
    for (config, help) in [
        ("network = \"mainnet\"", "write bitcoin"),
        ("network = \"testnet4\"", "signet"),
        ("network = \"localhost\"", "write regtest"),
        ("[http]\nlisten = \"localhost:3000\"", "127.0.0.1"),
        ("[http]\ntrusted_proxies = [\"localhost\"]", "127.0.0.0/8"),
    ] {
        std::fs::write(data_dir.join("config.toml"), config).unwrap();
        let output = satchel(&data_dir).args(["doctor", "--json"]).output().unwrap();
        let report = one_object(&out(&output));
        let checks = report["checks"].as_array().unwrap();
        let told = checks.iter().find(|check| check["name"] == "configuration").unwrap();
        assert_eq!((output.status.code(), &told["status"]), (Some(4), &json!("FAIL")), "{report}");
        assert!(told.to_string().contains(help), "{config}: {told}");
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that answers what the real one would, for as long as the test runs.
fn server() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, answers()).await.unwrap();
        });
    });
    told.recv().unwrap()
}

fn answers() -> Router {
    let echo = |Json(body): Json<Value>| async move { Json(json!({ "key": "satchel_new", "asked": body })) };
    let node = |headers: HeaderMap| async move {
        let error = json!({ "error": { "code": "x", "message": "no" } });
        match headers.get("authorization").and_then(|value| value.to_str().ok()) {
            Some("Bearer satchel_good") => (
                StatusCode::OK,
                Json(json!({ "running": true, "phase": "ready", "network": "regtest", "node_id": "02ab" })),
            ),
            _ => (StatusCode::UNAUTHORIZED, Json(error)),
        }
    };
    let refuse = |status: StatusCode, message: &'static str| {
        move || async move { (status, Json(json!({ "error": { "code": "why", "message": message } }))) }
    };
    let tips = |Json(body): Json<Value>| async move {
        Json(json!({ "asked": body, "invoice": "lnbcrt1tips", "quantity": 2,
            "tips": [{ "id": "t1", "name": "Ada", "link": "https://t/1", "words": "a b c" }] }))
    };
    let reclaim = |Json(body): Json<Value>| async move {
        let error = json!({ "error": { "code": "refused", "message": "somebody has claimed it" } });
        match body.get("force").and_then(Value::as_bool) {
            Some(true) => (StatusCode::OK, Json(json!({ "reclaimed": 1 }))),
            _ => (StatusCode::CONFLICT, Json(error)),
        }
    };
    let webhooks = |uri: Uri| async move {
        Json(json!({ "asked": uri.query(), "webhooks": [{ "id": "msg_1", "family": "payments",
            "kind": "payment.completed", "url": "https://shop.example/hook", "state": "parked", "attempts": 12,
            "created_at": 1_735_689_600_000_u64, "last_error": "the host can't be reached" }] }))
    };
    let listed = |uri: Uri| async move {
        Json(json!({ "asked": uri.query(), "items": [{ "proxyId": "weather-a1b2", "name": "Weather",
            "defaultPriceSats": 10, "isActive": true, "targetBaseUrl": "https://weather.example" }] }))
    };
    let sold = |Json(body): Json<Value>| async move {
        Json(json!({ "asked": body, "proxyId": "weather-a1b2", "proxyUrl": "/l402/proxy/weather-a1b2" }))
    };
    let asked =
        |Json(body): Json<Value>| async move { Json(json!({ "asked": body, "alreadyRetired": true })) };
    let priced = |Json(body): Json<Value>| async move {
        let costs = match body.get("method").and_then(Value::as_str) {
            Some(method) => json!({ method: body.get("sats") }),
            None => json!({ "GET": 90, "POST": body.get("sats") }),
        };
        Json(json!({ "asked": body, "costs": costs }))
    };
    let purse = |Json(body): Json<Value>| async move {
        Json(json!({ "asked": body, "key": "satchel_k", "account": "default", "balanceSat": 1_234 }))
    };
    let purses = || async {
        Json(
            json!({ "purses": [{ "name": "researcher", "account": "default", "leftSat": 4_000, "budgetSat": 5_000,
            "leftTodaySat": null, "perRequestSat": 50, "hosts": ["api.example.com"], "revoked": false }], "next": 7 }),
        )
    };
    let one_purse = || async {
        Json(
            json!({ "purse": { "name": "researcher", "account": "default", "balanceSat": 9, "budgetSat": 5_000,
            "leftSat": 4_000, "perRequestSat": 50, "hosts": ["*"], "mayPayInvoices": true, "revoked": false },
            "receipts": [{ "createdAt": "2027-01-01T00:00:00Z", "status": "paid", "amountSat": 10, "feeSat": 0,
            "url": "https://api.example.com/x", "paymentId": "pay_1" }] }),
        )
    };
    let topped_up = |Json(body): Json<Value>| async move { Json(json!({ "asked": body, "leftSat": 4_100 })) };
    let revoked = || async { Json(json!({ "revoked": "researcher" })) };
    Router::new()
        .route("/admin/v1/purses", get(purses).post(purse))
        .route("/admin/v1/purses/researcher", get(one_purse).delete(revoked))
        .route("/admin/v1/purses/researcher/top-up", post(topped_up))
        .route("/admin/v1/proxies", get(listed).post(sold))
        .route("/admin/v1/proxies/weather-a1b2/price", post(priced))
        .route("/admin/v1/proxies/weather-a1b2/retire", post(asked))
        .route("/admin/v1/tips", post(tips))
        .route("/admin/v1/tips/t1/reclaim", post(reclaim))
        .route("/admin/v1/webhooks", get(webhooks))
        .route("/admin/v1/webhooks/msg_1/replay", post(|| async { Json(json!({ "id": "msg_1" })) }))
        .route("/admin/v1/node", get(node))
        .route("/admin/v1/keys", post(echo))
        .route(
            "/admin/v1/address",
            post(refuse(StatusCode::SERVICE_UNAVAILABLE, "the node is not running yet")),
        )
        .route(
            "/admin/v1/channels/17/close",
            post(refuse(StatusCode::NOT_FOUND, "no channel with the id 17")),
        )
        .route(
            "/admin/v1/audit",
            get(|| async { Json(json!({ "clean": false, "problems": ["two journals"] })) }),
        )
        .route(
            "/admin/v1/pay",
            post(|| async { Json(json!({ "id": "p1", "status": "queued", "amount_msat": 5_000 })) }),
        )
        .route(
            "/admin/v1/payouts/p1",
            get(|| async {
                Json(json!({ "id": "p1", "status": "paid", "amount_msat": 5_000, "fee_msat": 0 }))
            }),
        )
}

#[test]
fn tips_are_made_from_a_list_of_names() {
    let (parent, data_dir, _) = made(&["--network", "regtest"]);
    let listen = server().to_string();
    let run = |arguments: &[&str]| {
        let mut command = satchel(&data_dir);
        command.env("SATCHEL_ADMIN_LISTEN", &listen).env("SATCHEL_ADMIN_KEY", "satchel_good");
        command.args(arguments).output().unwrap()
    };
    let file = parent.path().join("names.csv");
    std::fs::write(&file, "name,mail\nAda,a@b.c\n\"Lovelace, Bob\",\n").unwrap();
    let create = ["tip", "create", "--amount", "1000", "--names", "names.csv"];
    let output = run(&create);
    assert_eq!(output.status.code(), Some(2), "nobody can be asked");
    let told = err(&output);
    assert!(told.contains("--yes") && told.contains("2 tips of 1,000 sat, 2,000 sat in all"), "{told}");
    assert!(told.contains("Lovelace, Bob"), "{told}");
    let create = [&create[..], &["--yes"]].concat();
    let answer =
        one_object(&out(&run(&[&create[..], &["--words", "3", "--flow", "skip", "--json"]].concat())));
    let expected = json!({ "amount_sat": 1_000, "tippee_names": ["Ada", "Lovelace, Bob"],
        "passphrase_words": 3, "onboarding_flow": "SKIP" });
    assert_eq!(answer["asked"], expected);
    let output = run(&create);
    let text = out(&output);
    assert!(text.contains("lnbcrt1tips") && text.contains("a b c") && text.contains("https://t/1"), "{text}");

    std::fs::write(&file, "name\nAda\n\"Bob\n").unwrap();
    let output = run(&create);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("names.csv:3: a quote is never closed"), "{}", err(&output));
    for wrong in [&["tip", "create"][..], &["tip", "create", "--amount", "5", "--flow", "STANDARD"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let output = run(&["tip", "reclaim", "t1"]);
    assert_eq!((output.status.code(), err(&output).trim()), (Some(1), "error: somebody has claimed it"));
    let output = run(&["tip", "reclaim", "t1", "--force"]);
    assert!(out(&output).starts_with("1 tip is its tipper's again"), "{}", err(&output));
    let key = one_object(&out(&run(&["key", "create", "--scope", "tips", "--account", "ada", "--json"])));
    assert_eq!(key["asked"], json!({ "name": "tips", "scopes": ["tips"], "account": "ada" }));
}

#[test]
fn services_are_sold_and_priced() {
    let (_parent, data_dir, _) = made(&["--network", "regtest"]);
    let listen = server().to_string();
    let run = |arguments: &[&str]| {
        let mut command = satchel(&data_dir);
        command.env("SATCHEL_ADMIN_LISTEN", &listen).env("SATCHEL_ADMIN_KEY", "satchel_good");
        command.args(["proxy"]).args(arguments).output().unwrap()
    };
    let add =
        ["add", "https://weather.example/v1", "--price", "5", "--auth", "X-Key: a:b", "--block", "/admin"];
    let made = one_object(&out(&run(&[&add[..], &["--json"]].concat())));
    let expected = json!({ "name": "weather.example", "targetBaseUrl": "https://weather.example/v1",
        "defaultPriceSats": 5, "authHeader": "X-Key", "authValue": "a:b", "allowedPaths": [],
        "blockedPaths": ["/admin"], "allowedMethods": [] });
    assert_eq!(made["asked"], expected);
    let bare = run(&["add", "https://weather.example", "--auth", "secret"]);
    assert_eq!(bare.status.code(), Some(2));
    assert!(!err(&bare).contains("secret"), "{}", err(&bare));
    let output = run(&["list"]);
    let text = out(&output);
    for part in ["weather-a1b2", "Weather", "10", "yes", "https://weather.example"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let dear = ["price", "weather-a1b2", "50", "--path", "/dear/*", "--method", "POST"];
    assert_eq!(out(&run(&dear)).trim(), "/dear/* of weather-a1b2 costs 50 sat (POST)");
    let every = out(&run(&dear[..5]));
    assert!(every.contains("GET 90, POST 50"), "{every}");
    let asked = one_object(&out(&run(&[&dear[..], &["--json"]].concat())))["asked"].clone();
    assert_eq!(asked, json!({ "sats": 50, "path": "/dear/*", "method": "POST" }));
    assert_eq!(out(&run(&["retire", "weather-a1b2"])).trim(), "weather-a1b2 was out of service already");
    assert_eq!(run(&["price", "weather-a1b2", "5", "--method", "GET"]).status.code(), Some(2));
}

#[test]
fn purses_are_made_listed_and_revoked() {
    let (_parent, data_dir, _) = made(&["--network", "regtest"]);
    let listen = server().to_string();
    let run = |arguments: &[&str]| {
        let mut command = satchel(&data_dir);
        command.env("SATCHEL_ADMIN_LISTEN", &listen).env("SATCHEL_ADMIN_KEY", "satchel_good");
        command.args(["purse"]).args(arguments).output().unwrap()
    };
    let create =
        ["create", "researcher", "--budget", "5000", "--per-request", "50", "--host", "api.example.com"];
    let text = out(&run(&create));
    assert!(text.contains("satchel_k") && text.contains("1,234 sat"), "{text}");
    let made = one_object(&out(&run(&[&create[..], &["--no-invoices", "--json"]].concat())));
    let expected = json!({ "name": "researcher", "budget_sat": 5_000, "per_day_sat": null, "per_request_sat": 50,
        "hosts": ["api.example.com"], "pay_invoices": false, "allow_http": false, "account": null });
    assert_eq!(made["asked"], expected);
    assert_eq!(run(&create[..4]).status.code(), Some(2), "a purse needs a host");
    let text = out(&run(&["list"]));
    assert!(text.contains("researcher") && text.contains("--before 7"), "{text}");
    let text = out(&run(&["show", "researcher"]));
    for part in ["5,000 sat, 4,000 sat left", "no limit", "pay_1", "https://api.example.com/x"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(out(&run(&["top-up", "researcher", "100"])).trim(), "researcher may spend 4,100 sat more");
    assert_eq!(out(&run(&["revoke", "researcher"])).trim(), "researcher spends nothing any more");
}

#[test]
fn remote_commands_ask_the_server_and_pass_on_its_answer() {
    let (_parent, data_dir, _) = made(&["--network", "regtest"]);
    let listen = server().to_string();
    let run = |arguments: &[&str]| {
        let mut command = satchel(&data_dir);
        command.env("SATCHEL_ADMIN_LISTEN", &listen).env("SATCHEL_ADMIN_KEY", "satchel_good");
        command.args(arguments).output().unwrap()
    };
    let output = run(&["status"]);
    assert!(output.status.success() && out(&output).contains("02ab on regtest"), "{}", err(&output));
    assert_eq!(one_object(&out(&run(&["--json", "status"])))["phase"], "ready");
    // The flag is stronger than the variable, and a wrong key is refused.
    let output = run(&["status", "--admin-key", "satchel_bad"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("refuses the admin key"), "{}", err(&output));

    let key = one_object(&out(&run(&["key", "create", "shop", "--scope", "gifts,tips", "--json"])));
    assert_eq!(key["key"], "satchel_new");
    assert_eq!(key["asked"], json!({ "name": "shop", "scopes": ["gifts", "tips"] }));
    let key = one_object(&out(&run(&["key", "create", "--json"])));
    assert_eq!(key["asked"], json!({ "name": "gifts", "scopes": ["gifts"] }));

    let output = run(&["pay", "lnbcrt1"]);
    assert!(output.status.success() && out(&output).starts_with("paid 5 sat"), "{}", err(&output));
    let output = run(&["audit"]);
    assert!(output.status.code() == Some(4) && out(&output).contains("two journals"));
    let output = run(&["address", "--json"]);
    assert_eq!((output.status.code(), &one_object(&err(&output))["error"]["code"]), (Some(3), &json!("why")));
    let output = run(&["channel", "close", "17"]);
    assert_eq!((output.status.code(), err(&output).trim()), (Some(1), "error: no channel with the id 17"));
    let output = run(&["channel", "close", "../../keys"]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(&["webhook", "list", "--parked", "--before", "msg_9"]);
    let text = out(&output);
    for part in
        ["msg_1", "payment.completed", "https://shop.example/hook", "parked", "12", "can't be reached"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let listed = one_object(&out(&run(&["webhook", "list", "--json"])));
    assert_eq!(listed["asked"], "limit=50");
    assert_eq!(out(&run(&["webhook", "replay", "msg_1"])).trim(), "msg_1 is sent now");
    let output = run(&["gift", "list"]);
    assert!(output.status.code() == Some(1) && err(&output).contains("not this version"), "{}", err(&output));
}
