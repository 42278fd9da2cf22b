//! Talks to the running satchel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::args::Global;
use super::error::CliError;
use super::show::text;
use crate::config::data_dir::{DataDirError, read_admin_key};
use crate::config::{Config, admin_socket_path};
use crate::core::ids::Secret;

/// Longer than any call of the operator's takes: a look at the chain can be slow.
const TIMEOUT: Duration = Duration::from_secs(180);

/// On the same machine or a near one, an answer to the connection comes at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do when nobody answers.
const START: &str = "start it with `satchel run`, or give --data-dir or --config of the one that runs";

/// Whether the operator's API is on this machine: the socket of a data folder here leads to no other.
fn is_here(config: &Config) -> bool {
    config.admin.listen.is_none_or(|address| address.ip().is_loopback() || address.ip().is_unspecified())
}

/// A way to the running satchel.
pub struct Client {
    http: reqwest::Client,
    base: String,
    /// The same for people.
    place: String,
    key: Secret,
}

impl Client {
    /// Finds address and key by the options. Only what is needed for that is read from the configuration: a
    /// password that is set for the service alone must not keep `status` from working.
    pub fn from(global: &Global) -> Result<Self, CliError> {
        let config = Config::load_unchecked(&global.overrides())?;
        let key = match &global.admin_key {
            Some(key) if !key.expose().is_empty() => key.clone(),
            _ => read_admin_key(&config.data_dir).map_err(no_key)?,
        };
        Self::new(&config, key)
    }

    /// A client for the operator's API of the satchel of this configuration: by its Unix socket where there is one, else
    /// by its address.
    pub fn new(config: &Config, key: Secret) -> Result<Self, CliError> {
        let socket = admin_socket_path(&config.data_dir);
        let builder = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        let (builder, base, place) = match config.admin.listen {
            _ if config.admin.socket && is_here(config) && UnixStream::connect(&socket).is_ok() => {
                let place = socket.display().to_string();
                (builder.unix_socket(socket), "http://localhost".to_owned(), place)
            }
            Some(listen) => {
                let base = format!("http://{}", reachable(listen));
                (builder, base.clone(), base)
            }
            None => {
                return Err(CliError::unreachable(format!(
                    "satchel does not listen at {}",
                    socket.display()
                ))
                .help(START));
            }
        };
        let http = builder.build();
        let http = http.map_err(|error| CliError::failed(format!("can't make an HTTP client: {error}")))?;
        Ok(Self { http, base, place, key })
    }

    /// `GET /admin/v1/<path>`
    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::GET, path, None, None).await
    }

    /// `POST /admin/v1/<path>`
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, CliError> {
        self.call(Method::POST, path, Some(body), None).await
    }

    /// The same with an `Idempotency-Key`: however often it is sent, it is done once. Where nobody can tell whether it
    /// was done, the error says how to ask again.
    pub async fn post_once(&self, path: &str, body: Value, key: &str) -> Result<Value, CliError> {
        self.call(Method::POST, path, Some(body), Some(key)).await
    }

    /// `DELETE /admin/v1/<path>`
    pub async fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::DELETE, path, None, None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        once: Option<&str>,
    ) -> Result<Value, CliError> {
        let request = self.http.request(method, format!("{}/admin/v1/{path}", self.base));
        let request = request.bearer_auth(self.key.expose());
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let request = match once {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let lost = |error: reqwest::Error| match once {
            Some(key) if !error.is_connect() => perhaps_done(self.no_answer(&error), key),
            _ => self.no_answer(&error),
        };
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let body = response.bytes().await.map_err(lost)?;
        let answer = serde_json::from_slice::<Value>(&body);
        if status.is_success() {
            return answer.map_err(|_| self.foreign(status));
        }
        let refusal = self.refusal(status, &answer.unwrap_or_default());
        Err(match once {
            Some(key) if status.is_server_error() => perhaps_done(refusal, key),
            _ => refusal,
        })
    }

    fn no_answer(&self, error: &reqwest::Error) -> CliError {
        if error.is_timeout() && !error.is_connect() {
            return CliError::unreachable(format!("satchel at {} took too long to answer", self.place))
                .help("look at its log; `satchel doctor` may say why");
        }
        CliError::unreachable(format!("satchel does not answer at {}", self.place)).help(START)
    }

    fn refusal(&self, status: StatusCode, answer: &Value) -> CliError {
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return CliError {
                kind: "unauthorized".into(),
                ..CliError::failed("satchel refuses the admin key")
            }
            .help("use the data folder of the satchel that runs, or give its key with --admin-key");
        }
        let Some(error) = answer.get("error") else {
            return self.foreign(status);
        };
        let (kind, message) = (text(error, "code").to_owned(), text(error, "message").to_owned());
        match status {
            StatusCode::SERVICE_UNAVAILABLE => CliError { kind, ..CliError::unreachable(message) },
            StatusCode::BAD_REQUEST => CliError { kind, ..CliError::usage(message) },
            _ => CliError { kind, ..CliError::failed(message) },
        }
    }

    fn foreign(&self, status: StatusCode) -> CliError {
        CliError::failed(format!("what answers at {} is not this version of satchel ({status})", self.place))
            .help("check admin.listen in config.toml, and that server and command are of the same version")
    }
}

/// An error after which nobody can tell whether a request that is done only once was done.
fn perhaps_done(error: CliError, key: &str) -> CliError {
    let help = format!(
        "it may have been done all the same: repeat the command with `--idempotency-key {key}` within a day, and it is \
         done at most once"
    );
    error.help(help)
}

/// A query of what is given.
pub fn query(given: &[(&str, Option<String>)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in given {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

/// An address to connect to, for one to listen on.
pub fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

fn no_key(error: DataDirError) -> CliError {
    let help = match error {
        DataDirError::Io { .. } => "run this as the user that satchel runs as, or give --admin-key",
        _ => "run `satchel init` first, or give --data-dir or --admin-key",
    };
    let message = match error {
        DataDirError::Missing(path) => format!("there is no admin key at {}", path.display()),
        other => other.to_string(),
    };
    CliError::usage(message).help(help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everywhere_is_reached_at_home() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()), "127.0.0.1:1".parse().unwrap());
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()), "10.0.0.1:1".parse().unwrap());
    }

    fn client_of(listen: SocketAddr) -> Client {
        let mut config = Config::default();
        config.admin.listen = Some(listen);
        config.data_dir = "/nowhere".into();
        Client::new(&config, Secret::new("k")).unwrap()
    }

    #[tokio::test]
    async fn the_socket_in_the_data_folder_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.admin.listen = Some("127.0.0.1:1".parse().unwrap());
        config.data_dir = folder.path().to_owned();
        let place = |config: &Config| Client::new(config, Secret::new("k")).map(|client| client.place).ok();
        assert_eq!(place(&config).as_deref(), Some("http://127.0.0.1:1"));
        let listener = tokio::net::UnixListener::bind(admin_socket_path(folder.path())).unwrap();
        assert!(place(&config).unwrap().ends_with("admin.sock"));
        drop(listener);
        assert_eq!(place(&config).as_deref(), Some("http://127.0.0.1:1"), "nobody listens there any more");
        config.admin.listen = None;
        assert_eq!(place(&config), None);
    }

    #[tokio::test]
    async fn refusals_have_their_exit_codes() {
        let client = client_of("127.0.0.1:1".parse().unwrap());
        let told = json!({ "error": { "code": "c", "message": "m" } });
        for (status, code) in [(400, 2), (401, 1), (404, 1), (409, 1), (500, 1), (503, 3)] {
            let error = client.refusal(StatusCode::from_u16(status).unwrap(), &told);
            assert_eq!(error.code, code, "{status}");
        }
        assert_eq!(client.get("node").await.unwrap_err().code, 3);
        // Nobody was there: nothing was done.
        let never_sent = client.post_once("x", Value::Null, "k").await.unwrap_err();
        assert!(!never_sent.help.unwrap().contains("--idempotency-key"));
        assert!(client.refusal(StatusCode::NOT_FOUND, &Value::Null).message.contains("not this version"));
    }
    #[tokio::test]
    async fn lost_answer_names_the_key_to_ask_again_with() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut text = vec![0; 4_096];
            let (mut stream, _) = listener.accept().await.unwrap();
            let read = tokio::io::AsyncReadExt::read(&mut stream, &mut text).await.unwrap();
            String::from_utf8_lossy(&text[..read]).to_lowercase()
        });
        let error = client.post_once("x", json!({}), "key-1").await.unwrap_err();
        assert!(error.help.unwrap().contains("`--idempotency-key key-1`"));
        assert!(server.await.unwrap().contains("idempotency-key: key-1"));
    }
}
