//! Builds the services and connects them.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::agents::{Backend, ListingListener};
use super::merchant::{MerchantSources, ShopTotals};
use super::shop::{Besides, ChallengeSessions, OrderCredentials, OrderWebhooks, RegistryStores};
use super::{AppError, agents};
use crate::config::data_dir::{self, PassphraseSources};
use crate::config::{
    Chain, ChainSource as ChainKind, Config, Gossip, Rates as RatesConfig, RatesFrom, WhenShort,
};
use crate::core::ids::Secret;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::audit_log;
use crate::http::client::Proxies;
use crate::http::events::EventLog;
use crate::http::keys::{Keys, Scope};
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::http::live::{Hub, HubSettings};
use crate::ledger::suspense::PaidBack;
use crate::ledger::{
    Family, Ledger, Listener, Listeners, Notify, Settings, offer_payouts, recovery, solvency,
};
use crate::lightning::ldk::{ChainSource, LdkNode, LdkSettings, node_id_of};
use crate::lightning::{Lightning, Node};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::lnurl::dns::Dns;
use crate::outbound::lnurl::pay::Addresses;
use crate::outbound::lnurl::payee::Payees;
use crate::outbound::mail::Mailer;
use crate::outbound::webhooks::store::Outbox;
use crate::rates::sources::{coinbase, kraken, mempool, over_http};
use crate::rates::{Rates, RatesSettings};
use crate::services::accounts::{self, Accounts};
use crate::services::agents::{Agents, Listings, Parts as AgentParts, Rules as AgentRules};
use crate::services::content::Content;
use crate::services::gifts::{self, Gifts, Notifier, Parts, Rules};
use crate::services::l402::{self, L402};
use crate::services::merchant::{self, KeyDerivation, Merchants};
use crate::services::payments::{self, Payments};
use crate::services::proxy::{self, PaidProxies};
use crate::services::purse::{self, Purses};
use crate::services::shop::{self, Shop, ShopifyShops};
use crate::services::tips::{self, Tips};
use crate::services::users::{self, Users};
use crate::storage::{DatabaseKey, Store};
use crate::telemetry::{Health, Watchdog};
use crate::vouchers::{VoucherListener, Vouchers};

/// How long a lightning address may take to answer.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that lives as long as the process.
pub struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) node: Arc<LdkNode>,
    pub(crate) asked: Node,
    pub(crate) ledger: Ledger,
    pub(crate) vouchers: Vouchers,
    pub(crate) gifts: Gifts,
    pub(crate) tips: Tips,
    pub(crate) payments: Payments,
    pub(crate) l402: L402,
    pub(crate) paid_proxies: PaidProxies,
    pub(crate) content: Content,
    pub(crate) accounts: Accounts,
    pub(crate) merchants: Merchants,
    pub(crate) agents: Agents,
    pub(crate) listings: Listings,
    pub(crate) purses: Purses,
    pub(crate) shop: Shop,
    pub(crate) rates: Rates,
    pub(crate) health: Health,
    pub(crate) watchdog: Watchdog,
    pub(crate) hub: Arc<Hub>,
    pub(crate) keys: Keys,
    pub(crate) limits: Arc<Limits>,
    /// What is loaded of pages, as reads.
    pub(crate) pages: Arc<Limits>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) guard: Guard,
    pub(crate) addresses: Addresses,
    pub(crate) outbox: Outbox,
    pub(crate) log: EventLog,
    pub(crate) mail: Option<Mailer>,
}

impl App {
    /// Opens the database, settles what can be settled without the node, builds the node. Blocks.
    pub(crate) fn build(config: Arc<Config>, node_runtime: Handle) -> Result<Self, AppError> {
        let seed = data_dir::read_seed(
            &config.data_dir,
            &PassphraseSources::of_process(&config.node.seed_passphrase_file),
        )?;
        let store = Store::open(&config.database_path(), &DatabaseKey::of_seed(&seed, node_id_of(&seed))?)?;
        let derivation = KeyDerivation::new(&seed);
        let health = Health::new();
        let watchdog = Watchdog::start().map_err(|error| AppError::System(error.to_string()))?;
        let hub = Hub::new(HubSettings::default());
        let outbox = Outbox::default();
        let guard = Guard::new(guard_settings(&config));
        let node = Arc::new(LdkNode::build(
            node_settings(&config, seed.clone()),
            store.clone(),
            node_runtime.clone(),
        )?);
        let asked = Node::new(Arc::clone(&node), node_runtime);
        let keyring = gifts::keyring(&store)?;
        let log = EventLog::new(store.clone(), Arc::clone(&hub));
        let notifier = Notifier::new(Arc::clone(&hub), outbox.clone(), log.clone());
        let notifier =
            if config.gifts.return_fee { notifier.returning_fees(Clock::system()) } else { notifier };
        let tips_keyring = tips::keyring(&store)?;
        let tips_rules = tips::Rules::from_config(&config);
        let tips_notifier = tips::Notifier::new(
            Arc::clone(&hub),
            outbox.clone(),
            log.clone(),
            tips_keyring.clone(),
            Clock::system(),
            tips_rules.return_fee,
        );
        let payments_notifier =
            payments::Notifier::new(Arc::clone(&hub), outbox.clone(), log.clone(), Clock::system())
                .taking(payments::Rules::from_config(&config).fee);
        let listings = agents::listings(&config, &store, &seed, log.clone(), Clock::system())?;
        let listing_listener = agents::listing_listener(&listings);
        let l402_notifier = l402::Notifier::new(log.clone(), Clock::system())
            .taking(l402::Rules::from_config(&config).fee)
            .telling(Arc::<ListingListener>::clone(&listing_listener))
            .showing(Arc::clone(&hub));
        let l402_keys = l402::token_keys(&store)?;
        let accounts_notifier = accounts::Notifier::new(log.clone());
        let purse_listener = purse::PurseListener::new(log.clone());
        let shop_rules = shop::Rules::from_config(&config);
        let order_webhooks = Arc::new(OrderWebhooks(payments_notifier.clone()));
        let orders_notifier =
            shop::Notifier::new(log.clone(), Clock::system(), order_webhooks, shop_rules.fee);
        let vouchers = Vouchers::new([
            (Family::Gifts, Arc::new(notifier.clone()) as Arc<dyn VoucherListener>),
            (Family::Tips, Arc::new(tips_notifier.clone()) as Arc<dyn VoucherListener>),
        ]);
        let ledger = Ledger {
            store: store.clone(),
            lightning: Arc::clone(&node) as Arc<dyn Lightning>,
            clock: Clock::system(),
            wake: Arc::new(Notify::default()),
            listeners: Listeners::new([
                (Family::Gifts, Arc::new(gifts::Funding(vouchers.clone())) as Arc<dyn Listener>),
                (Family::Tips, tips::listener(vouchers.clone(), tips_notifier.clone())),
                (Family::Payments, Arc::new(payments_notifier.clone()) as Arc<dyn Listener>),
                (Family::L402, Arc::new(l402_notifier.clone()) as Arc<dyn Listener>),
                (Family::Shop, Arc::new(orders_notifier.clone()) as Arc<dyn Listener>),
                (Family::Accounts, Arc::new(accounts_notifier.clone()) as Arc<dyn Listener>),
                (Family::Purse, Arc::new(purse_listener.clone()) as Arc<dyn Listener>),
                (Family::Operator, Arc::new(PaidBack) as Arc<dyn Listener>),
            ]),
            settings: ledger_settings(&config),
        };
        let budget = Arc::new(budget(&config, 1));
        let client = guard.client(ADDRESS_TIMEOUT).map_err(|error| AppError::System(error.to_string()))?;
        let addresses = Addresses {
            client,
            network: config.network,
            clock: ledger.clock.clone(),
            comment: format!("Sats from {}", config.http.public_url),
        };
        let dns = Dns::new(
            &config.withdrawals.dns_over_https,
            config.withdrawals.dns_unsigned,
            ledger.clock.clone(),
        )
        .map_err(AppError::System)?;
        let payees = Payees::new(
            guard.clone(),
            Arc::new(addresses.clone()),
            dns.clone(),
            config.network,
            ledger.clock.clone(),
        );
        let gifts = Gifts::new(Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: Rules::from_config(&config),
            keyring,
            guard: guard.clone(),
            payees: payees.clone(),
            notifier,
            budget: Arc::clone(&budget),
        });
        let keys = Keys::new(store.clone());
        let mail = Mailer::new(&config.smtp).map_err(|error| AppError::System(error.to_string()))?;
        let tips = Tips::new(tips::Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: tips_rules,
            keyring: tips_keyring,
            guard: guard.clone(),
            payees,
            notifier: tips_notifier,
            vouchers: vouchers.clone(),
            users: Users::new(users::Parts {
                store: store.clone(),
                clock: ledger.clock.clone(),
                keys: keys.clone(),
                public_url: config.http.public_url.clone(),
                mail: mail.clone(),
                guard: guard.clone(),
                newcomers: self::budget(&config, 1),
            }),
            budget: Arc::clone(&budget),
        });
        let accounts = Accounts::new(accounts::Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: accounts::Rules::from_config(&config),
            notifier: accounts_notifier,
            addresses: addresses.clone(),
            dns,
        });
        let purses = Purses::new(purse::Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: purse::Rules::from_config(&config),
            listener: purse_listener,
            sealer: purse::sealer(&store)?,
            guard: guard.clone(),
            keys: keys.clone(),
        })
        .map_err(|error| AppError::System(error.to_string()))?;
        let rates = rates(&config.rates, ledger.clock.clone())?;
        let proxies = Arc::new(Proxies::new(config.http.trusted_proxies.clone()));
        let l402 = L402::new(l402::Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: l402::Rules::from_config(&config),
            token_keys: l402_keys,
            notifier: l402_notifier,
            proxies: Arc::clone(&proxies),
            per_client: Arc::new(Limits::new(challenge_limits(&config))),
            // Their own: whoever asks for prices without paying must not use up what others pay with.
            budget: Arc::new(self::budget(&config, 2)),
        });
        let parts = payments::Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: payments::Rules::from_config(&config),
            guard: guard.clone(),
            notifier: payments_notifier,
            rates: rates.clone(),
            budget,
        };
        let sessions = Arc::new(ChallengeSessions(l402.clone()));
        let payments = Payments::with_sessions(parts, sessions);
        let settings = LimitSettings {
            enabled: config.http.rate_limits,
            window: Duration::from_secs(config.limits.window_secs),
            write: config.limits.write,
            read: config.limits.read,
            key_write: config.limits.key_write,
            key_read: config.limits.key_read,
        };
        let limits = Arc::new(Limits::new(settings).verifying(settings, config.limits.key_verify));
        let read = config.limits.pages;
        let pages = Arc::new(Limits::new(LimitSettings { read, key_read: read, ..settings }));
        let proxy_parts = proxy::Parts {
            store: store.clone(),
            clock: ledger.clock.clone(),
            challenger: l402.clone(),
            rules: proxy::Rules::from_config(&config),
            quotas: Arc::clone(&limits),
            targets: proxy::Targets::new(upstream_settings(&config)),
        };
        let paid_proxies = PaidProxies::telling(proxy_parts, listing_listener);
        let paid_proxies = paid_proxies.map_err(|error| AppError::System(error.to_string()))?;
        let agents = Agents::new(AgentParts {
            store: store.clone(),
            clock: ledger.clock.clone(),
            rules: AgentRules::from_config(&config),
            listings: listings.clone(),
            backend: Arc::new(Backend(paid_proxies.clone())),
        });
        let content = Content::from_config(&config, l402.clone());
        let shop = Shop::new(shop::Parts {
            ledger: ledger.clone(),
            node: asked.clone(),
            rules: shop_rules,
            rates: rates.clone(),
            notifier: orders_notifier,
            credentials: Arc::new(OrderCredentials(l402.clone())),
            elsewhere: Arc::new(Besides {
                content: content.clone(),
                proxies: paid_proxies.clone(),
                l402: l402.clone(),
                rates: rates.clone(),
                public_url: config.http.public_url.trim_end_matches('/').into(),
            }),
            // Their own: strangers fill carts for nothing.
            budget: Arc::new(self::budget(&config, 2)),
            mail: mail.clone(),
            shopify: ShopifyShops::from_config(&config.shop.shopify, &guard, &ledger.clock)
                .map_err(|error| AppError::System(error.to_string()))?,
        });
        paid_proxies.list_stores(Arc::new(RegistryStores(shop.clone())));
        let merchants = Merchants::new(merchant::Parts {
            store: store.clone(),
            clock: ledger.clock.clone(),
            rules: merchant::Rules::from_config(&config),
            derivation,
            sources: Arc::new(MerchantSources {
                payments: payments.clone(),
                l402: l402.clone(),
                proxies: paid_proxies.clone(),
                node: asked.clone(),
                health: health.clone(),
            }),
            challenger: Arc::new(l402.clone()),
            shop: Arc::new(ShopTotals(shop.clone())),
        });
        audit_log::doubt(&store, ledger.clock.now()).map_err(|error| AppError::System(error.to_string()))?;
        recovery::mark_unknown(&ledger).map_err(|error| AppError::System(error.to_string()))?;
        offer_payouts::mark_unknown(&ledger).map_err(|error| AppError::System(error.to_string()))?;
        Ok(Self {
            config,
            store,
            node,
            asked,
            ledger,
            vouchers,
            gifts,
            tips,
            payments,
            l402,
            paid_proxies,
            content,
            accounts,
            merchants,
            agents,
            listings,
            purses,
            shop,
            rates,
            health,
            watchdog,
            hub,
            keys,
            limits,
            pages,
            proxies,
            guard,
            addresses,
            outbox,
            log,
            mail,
        })
    }

    /// The key in the data folder opens `/admin/v1`.
    pub(super) async fn admit_operator(&self) -> Result<(), AppError> {
        let key = data_dir::read_admin_key(&self.config.data_dir)?;
        let ensured = self.keys.ensure("operator", &key, Scope::Admin).await;
        ensured.map(drop).map_err(|error| AppError::System(error.to_string()))
    }
}

/// New invoices in a minute, a part of what strangers have together and all that an account has; 0 sets no limit.
fn budget(config: &Config, part: u32) -> Budget {
    if config.http.rate_limits {
        let (strangers, account) =
            (config.limits.invoices_per_minute, config.limits.account_invoices_per_minute);
        Budget::of(strangers.div_ceil(part), account)
    } else {
        Budget::of(0, 0)
    }
}

/// New challenges of one client, as writes; nothing is counted as a read.
fn challenge_limits(config: &Config) -> LimitSettings {
    LimitSettings {
        enabled: config.http.rate_limits,
        window: Duration::from_secs(60),
        write: config.l402.challenges_per_minute,
        read: 0,
        key_write: 0,
        key_read: 0,
    }
}

fn rates(config: &RatesConfig, clock: Clock) -> Result<Rates, AppError> {
    let settings = RatesSettings {
        refresh: Duration::from_secs(config.refresh_secs),
        max_age: Duration::from_secs(config.max_age_secs),
        ..RatesSettings::default()
    };
    if config.source == RatesFrom::Fixed {
        return Ok(Rates::fixed(&config.fixed, settings, clock));
    }
    let all = [
        (mempool::KIND, config.mempool_url.as_str()),
        (coinbase::KIND, config.coinbase_url.as_str()),
        (kraken::KIND, config.kraken_url.as_str()),
    ];
    let asked: Vec<_> = all.into_iter().filter(|(_, url)| !url.is_empty()).collect();
    let sources = over_http(&asked, settings.timeout).map_err(|error| AppError::System(error.to_string()))?;
    Ok(Rates::new(sources, settings, clock))
}

fn guard_settings(config: &Config) -> GuardSettings {
    GuardSettings {
        allow_hosts: config.webhooks.allow_hosts.clone(),
        allow_networks: config.webhooks.allow_networks.clone(),
        own_addresses: own_addresses(config),
    }
}

/// Where services that are sold may be, besides the public internet.
fn upstream_settings(config: &Config) -> GuardSettings {
    GuardSettings {
        allow_hosts: config.l402.proxy.allow_hosts.clone(),
        allow_networks: config.l402.proxy.allow_networks.clone(),
        own_addresses: own_addresses(config),
    }
}

/// Addresses of this very machine that the settings name.
fn own_addresses(config: &Config) -> Vec<IpAddr> {
    let announced = config.node.announce.iter().filter_map(|address| address.parse::<SocketAddr>().ok());
    let all = announced.chain(config.node.listen.iter().copied()).chain([config.http.listen]);
    let own: HashSet<_> = all.map(|address| address.ip()).filter(|ip| !ip.is_unspecified()).collect();
    own.into_iter().collect()
}

fn ledger_settings(config: &Config) -> Settings {
    Settings {
        in_flight_per_channel: usize::try_from(config.payouts.in_flight_per_channel).unwrap_or(45),
        send_window: Duration::from_secs(config.payouts.send_window_secs),
        keep_unpaid: Duration::from_secs(u64::from(config.limits.keep_unpaid_days) * 86_400),
        max_routing_per_hour: Msat::from_sat(config.payouts.max_routing_per_hour_sat).unwrap_or_default(),
        max_routing_per_account_hour: Msat::from_sat(config.payouts.max_routing_per_account_hour_sat)
            .unwrap_or_default(),
        when_short: match config.solvency.when_short {
            WhenShort::Refuse => solvency::WhenShort::Refuse,
            WhenShort::Warn => solvency::WhenShort::Warn,
        },
        ..Settings::default()
    }
}

fn node_settings(config: &Config, seed_words: Secret) -> LdkSettings {
    let node = &config.node;
    LdkSettings {
        network: config.network,
        seed_words,
        cache_dir: config.cache_dir(),
        chain: chain_source(&config.chain),
        listen: node.listen.iter().map(ToString::to_string).collect(),
        announce: node.announce.clone(),
        alias: node.alias.clone(),
        max_dust_exposure_sat: node.max_dust_exposure_sat,
        zero_conf_peers: node.zero_conf_peers.clone(),
        reserve_sat: node.reserve_sat,
        rgs_url: (node.gossip == Gossip::Rgs).then(|| node.rgs_url.clone()),
    }
}

fn chain_source(chain: &Chain) -> ChainSource {
    match chain.source {
        ChainKind::Esplora => ChainSource::Esplora { url: chain.esplora_url.clone() },
        ChainKind::Electrum => ChainSource::Electrum { url: chain.electrum_url.clone() },
        ChainKind::Bitcoind => ChainSource::Bitcoind {
            host: chain.bitcoind_host.clone(),
            port: chain.bitcoind_port,
            user: chain.bitcoind_user.clone(),
            password: chain.bitcoind_password.clone(),
        },
        ChainKind::BitcoindRest => ChainSource::BitcoindRest {
            rest_host: chain.rest_host.clone(),
            rest_port: chain.rest_port,
            host: chain.bitcoind_host.clone(),
            port: chain.bitcoind_port,
            user: chain.bitcoind_user.clone(),
            password: chain.bitcoind_password.clone(),
        },
    }
}
