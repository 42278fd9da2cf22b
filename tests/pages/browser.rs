//! A headless browser on a phone's screen, and what a person does with one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use regtest::process::{Managed, command};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{SOON, until};

/// A page that is loaded while the machine does much else.
const LIMIT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(100);
const PHONE: (u32, u32) = (390, 844);
const DESK: (u32, u32) = (1280, 800);
/// As long as anything on the pages moves by itself once.
const ANIMATION: Duration = Duration::from_millis(800);

/// Chromium and what steers it. Both processes are ours and die with this, also when a test fails.
pub struct Browser {
    client: Client,
    /// Of the session, for what WebDriver itself has no word for.
    session: String,
    http: reqwest::Client,
    pictures: Option<PathBuf>,
    _driver: Managed,
    _chromium: Managed,
    _folder: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (chromium, debugger) = start_chromium(folder.path()).await;
        let (driver, driver_url) = start_driver(folder.path()).await;
        let wanted = json!({
            "goog:chromeOptions": {"debuggerAddress": debugger},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&driver_url)
            .await
            .unwrap();
        let id = client.session_id().await.unwrap().unwrap();
        let pictures = std::env::var_os("PAGES_SCREENSHOTS").map(PathBuf::from);
        let browser = Self {
            client,
            session: format!("{driver_url}/session/{id}"),
            http: reqwest::Client::new(),
            pictures,
            _driver: driver,
            _chromium: chromium,
            _folder: folder,
        };
        browser.set_screen(PHONE).await;
        browser
    }

    async fn set_screen(&self, (width, height): (u32, u32)) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": (width, height) == PHONE});
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Ends the session; the processes end when this is dropped.
    pub async fn stop(self) {
        self.client.clone().close().await.unwrap();
    }

    // ---- what a person does --------------------------------------------------------------------------------------

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// As if it were another browser: nobody knows it.
    pub async fn forget_cookies(&self) {
        self.client.delete_all_cookies().await.unwrap();
    }

    pub async fn click(&self, id: &str) {
        self.find(id).await.click().await.unwrap_or_else(|error| panic!("#{id}: {error}"));
    }

    pub async fn click_on(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into a field that may have had something in it.
    pub async fn fill(&self, id: &str, text: &str) {
        let field = self.find(id).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// The same for a field that has no id.
    pub async fn fill_in(&self, css: &str, text: &str) {
        let field =
            self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// As if the browser had never been here.
    pub async fn empty_storage(&self) {
        self.script("localStorage.clear()", vec![]).await;
    }

    /// Lets pages run scripts, or not.
    pub async fn set_scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !run })).await;
    }

    // ---- what a person sees --------------------------------------------------------------------------------------

    async fn find(&self, id: &str) -> Element {
        self.client.find(Locator::Id(id)).await.unwrap_or_else(|error| panic!("#{id}: {error}"))
    }

    /// The text as it is rendered: nothing of what is hidden.
    pub async fn text(&self, id: &str) -> String {
        self.find(id).await.text().await.unwrap()
    }

    pub async fn value(&self, id: &str) -> String {
        self.find(id).await.prop("value").await.unwrap().unwrap_or_default()
    }

    pub async fn is_shown(&self, id: &str) -> bool {
        self.find(id).await.is_displayed().await.unwrap()
    }

    pub async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let element =
            self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.attr(name).await.unwrap()
    }

    /// The texts of all that a selector finds.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(element.text().await.unwrap());
        }
        texts
    }

    /// What a QR code on the page says, once the browser has drawn it.
    pub async fn qr(&self, id: &str) -> String {
        let drawn = "const image = document.getElementById(arguments[0]);\
                     return image.complete && image.naturalWidth > 0 && image.offsetWidth > 100\
                       ? new URL(image.src).searchParams.get('text') : null";
        until(&format!("#{id} is drawn"), SOON, || async {
            self.script(drawn, vec![json!(id)]).await.as_str().map(str::to_owned)
        })
        .await
    }

    async fn script(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap()
    }

    /// Empty while one page leads to another.
    pub async fn state(&self) -> String {
        let Ok(main) = self.client.find(Locator::Id("main")).await else { return String::new() };
        main.attr("data-state").await.ok().flatten().unwrap_or_default()
    }

    /// Whether this is the page at a path.
    pub async fn is_at(&self, path: &str) -> bool {
        self.client.current_url().await.is_ok_and(|url| url.path() == path)
    }

    /// Waits until the page says that it is in a state.
    pub async fn reaches(&self, state: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            let now = self.state().await;
            if now == state {
                return;
            }
            if Instant::now() > end {
                let page = self.script("return document.body.innerText", vec![]).await;
                panic!("{now} instead of {state}\n{page}\n{:#?}", self.complaints().await);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until an element is shown with a text that has this in it.
    pub async fn says(&self, id: &str, part: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            let text = self.text(id).await;
            if text.contains(part) {
                return;
            }
            assert!(Instant::now() < end, "#{id} says {text:?} instead of {part:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until an element, by selector, says just this: what a click starts ends a moment later.
    pub async fn comes_to_say(&self, css: &str, text: &str) {
        let end = Instant::now() + LIMIT;
        while self.texts(css).await != [text] {
            assert!(Instant::now() < end, "{css} never says {text:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Leaves a mark that a reload would take away.
    pub async fn mark(&self) {
        self.script("window.neverReloaded = true", vec![]).await;
    }

    pub async fn was_never_reloaded(&self) {
        assert_eq!(self.script("return window.neverReloaded === true", vec![]).await, json!(true));
    }

    /// Waits until all of an element is on the screen, without anybody scrolling.
    pub async fn is_in_view(&self, id: &str) {
        let inside = "const box = document.getElementById(arguments[0]).getBoundingClientRect();\
                      return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight";
        until(&format!("#{id} is on the screen"), SOON, || async {
            (self.script(inside, vec![json!(id)]).await == true).then_some(())
        })
        .await;
    }

    /// Checks that nothing sticks out at the side, and keeps pictures of the whole page if those are wanted.
    pub async fn look(&self, name: &str) {
        let out = "return [...document.querySelectorAll('main *, header *, footer *')]\
                     .filter((one) => one.getClientRects().length && !one.closest('.sr-only, .skip')\
                       && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)\
                     .map((one) => one.outerHTML.slice(0, 80))";
        assert_eq!(self.script(out, vec![]).await, json!([]), "{name} is wider than the screen");
        let Some(folder) = &self.pictures else { return };
        std::fs::create_dir_all(folder).unwrap();
        tokio::time::sleep(ANIMATION).await;
        for (suffix, scheme, screen) in
            [("", "light", PHONE), ("-dark", "dark", PHONE), ("-wide", "light", DESK)]
        {
            let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            self.devtools("Emulation.setEmulatedMedia", scheme).await;
            self.set_screen(screen).await;
            let options = json!({"format": "png", "captureBeyondViewport": true});
            let picture = self.devtools("Page.captureScreenshot", options).await;
            let picture = picture["data"].as_str().unwrap();
            let picture = base64::engine::general_purpose::STANDARD.decode(picture).unwrap();
            std::fs::write(folder.join(format!("{name}{suffix}.png")), picture).unwrap();
        }
        self.devtools("Emulation.setEmulatedMedia", json!({"features": []})).await;
        self.set_screen(PHONE).await;
    }

    // ---- what the browser says -----------------------------------------------------------------------------------

    async fn call(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/{path}", self.session)).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["value"].get("error").is_none(), "{path}: {answer}");
        answer["value"].clone()
    }

    async fn devtools(&self, name: &str, parameters: Value) -> Value {
        self.call("goog/cdp/execute", json!({"cmd": name, "params": parameters})).await
    }

    /// Warnings and errors of the console since the last call: exceptions, violations of the policy, failed requests.
    async fn complaints(&self) -> Vec<String> {
        let entries = self.call("se/log", json!({"type": "browser"})).await;
        let bad = entries.as_array().unwrap().iter().filter(|entry| entry["level"] != "INFO");
        bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub async fn has_no_complaints(&self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
    }

    /// The API refused something with this status, as it should: browsers call that an error. Nothing else is wrong.
    pub async fn complains_only_of(&self, status: u16) {
        self.complains_only_about(&[&format!("the server responded with a status of {status}")]).await;
    }

    /// Complaints that there may be, or not: a browser without wallets may say so when one is opened.
    pub async fn may_complain_about(&self, part: &str) {
        let complaints = self.complaints().await;
        assert!(complaints.iter().all(|one| one.contains(part)), "{complaints:#?}");
    }

    /// All that is shown of people's words (here: Hebrew ones, a language that runs from right to left) has a direction of
    /// its own, so that nothing around it is scrambled. Answers how many places there are.
    pub async fn words_keep_their_direction(&self) -> usize {
        let walk = "const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);\
                    const found = [];\
                    while (walker.nextNode()) {\
                      const node = walker.currentNode;\
                      if (!/[\\u0590-\\u05ff]/.test(node.data)) continue;\
                      const own = node.parentElement.closest('bdi, [dir]');\
                      const kept = own && (own.localName === 'bdi' || own.dir === 'auto') && own !== document.documentElement;\
                      found.push(kept ? '' : node.parentElement.outerHTML);\
                    }\
                    return found";
        let found = self.script(walk, vec![]).await;
        let found: Vec<_> =
            found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
        assert!(found.iter().all(String::is_empty), "{found:#?}");
        found.len()
    }

    /// There are complaints, and each has all of these parts.
    pub async fn complains_only_about(&self, parts: &[&str]) {
        let complaints = self.complaints().await;
        assert!(!complaints.is_empty(), "nothing was refused");
        let expected = |one: &String| parts.iter().all(|part| one.contains(part));
        assert!(complaints.iter().all(expected), "{complaints:#?}");
    }
}

async fn start_chromium(folder: &Path) -> (Managed, String) {
    let profile = folder.join("profile");
    let mut chromium = command(Path::new("chromium"));
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // The shared memory of a container is often too small for a page.
        .args(["--disable-breakpad", "--disable-dev-shm-usage", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("about:blank")
        .stdout(File::create(folder.join("chromium.out")).unwrap())
        .stderr(File::create(folder.join("chromium.err")).unwrap());
    let chromium = Managed::spawn("chromium", chromium).unwrap();
    let port = until("chromium tells its port", LIMIT, || async {
        let told = std::fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
        told.lines().next()?.parse::<u16>().ok()
    })
    .await;
    (chromium, format!("127.0.0.1:{port}"))
}

async fn start_driver(folder: &Path) -> (Managed, String) {
    let heard = folder.join("chromedriver.out");
    let mut driver = command(Path::new("chromedriver"));
    driver
        .arg("--port=0")
        .stdout(File::create(&heard).unwrap())
        .stderr(File::create(folder.join("chromedriver.err")).unwrap());
    let driver = Managed::spawn("chromedriver", driver).unwrap();
    let port = until("chromedriver tells its port", LIMIT, || async {
        let told = std::fs::read_to_string(&heard).ok()?;
        let (_, rest) = told.split_once("successfully on port ")?;
        rest.split_once('.')?.0.parse::<u16>().ok()
    })
    .await;
    (driver, format!("http://127.0.0.1:{port}"))
}
