//! The benchmark: what satchel promises of its speed, measured on this machine beside baselines of the same run.
//!
//! `scripts/bench` calls it. A real bitcoind, real channels, satchel's release binary as a process of its own, real
//! HTTP; the baseline is a bare ldk-node on its own default store. It never asserts: targets are printed, met or not,
//! and the exit code says only whether every measurement ran to its end.

mod agents;
mod bare;
mod cpu;
mod create;
mod flood;
mod http;
mod l402;
mod load;
mod machine;
mod memory;
mod open_loop;
mod payments;
mod payouts;
mod proxy;
mod purse;
mod reads;
mod receive;
mod seed;
mod send;
mod shop;
mod site;
mod start;
mod table;
mod tips;
mod withdrawals;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::bare::BareRates;
use crate::table::Table;

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Job {
    /// Only the baselines.
    Baselines,
    /// Gifts created over HTTP.
    Create,
    /// Payouts of 5,000 sat.
    Payouts,
    /// Payouts of 50 sat.
    Small,
    /// Withdrawals of an account, beside redemptions.
    Withdrawals,
    /// Tips: a group, its withdrawals, a long list.
    Tips,
    /// Payments: orders, webhooks, a long list.
    Payments,
    /// Requests that are paid for.
    L402,
    /// Stores: a large catalogue, many buyers of the last pieces.
    Shop,
    /// The search of what agents offer.
    Agents,
    /// Requests by purses.
    Purse,
    /// Look-ups with many gifts.
    Reads,
    /// The start with many gifts.
    Start,
    /// A shop and honest strangers beside a flood of others.
    Flood,
    /// What each public route costs in CPU time.
    Cpu,
}

/// Measures satchel on this machine, with baselines in the same run.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Options {
    /// A short run with smaller numbers, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Only this, with its baseline; may be given more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<Job>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Seconds of each measurement that is bounded by time.
    seconds: u64,
    /// Payouts of a run, a multiple of [`payouts::BATCH`].
    payouts: usize,
    /// Gifts of each kind in the data folder, for reads and start.
    gifts: usize,
    /// Seconds after a start at which memory is looked at again.
    settle_seconds: u64,
}

impl Size {
    const FULL: Self = Self { seconds: 10, payouts: 2_000, gifts: 100_000, settle_seconds: 30 };
    const QUICK: Self = Self { seconds: 3, payouts: 500, gifts: 5_000, settle_seconds: 5 };
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(table) => {
            println!("{}", machine::facts());
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(options: &Options) -> Result<Table> {
    let size = if options.quick { Size::QUICK } else { Size::FULL };
    let wanted = |job: Job| options.only.is_empty() || options.only.contains(&job);
    let mut table = Table::default();
    let mut bare = BareRates::default();
    let (needs_receive, needs_send) = (wanted(Job::Create), wanted(Job::Payouts));
    if needs_receive || needs_send || wanted(Job::Baselines) {
        let both = wanted(Job::Baselines);
        bare = bare::measure(size, needs_receive || both, needs_send || both).await?;
        bare.report(&mut table);
    }
    if [Job::Payouts, Job::Small, Job::Withdrawals, Job::Create, Job::Tips].into_iter().any(wanted) {
        let site = site::Site::start().await?;
        // What the tips' withdrawals are compared with.
        let mut gifts = None;
        if wanted(Job::Payouts) || wanted(Job::Tips) {
            gifts = Some(payouts::five_thousand(&site, size, &bare, &mut table).await?);
        }
        if wanted(Job::Small) {
            payouts::fifty(&site, size, &mut table).await?;
        }
        if wanted(Job::Withdrawals) {
            withdrawals::measure(&site, size, &mut table).await?;
        }
        if let Some(gifts) = gifts.filter(|_| wanted(Job::Tips)) {
            tips::measure(&site, size, gifts, &mut table).await?;
        }
        // Last, since it leaves tens of thousands of unpaid gifts behind.
        if wanted(Job::Create) {
            create::measure(&site, size, &bare, &mut table).await?;
        }
        site.stop().await?;
    }
    if wanted(Job::Payments) {
        let site = site::Site::start().await?;
        payments::measure(&site, size, &mut table).await?;
        site.stop().await?;
    }
    if wanted(Job::L402) {
        let site = site::Site::start().await?;
        l402::measure(&site, size, &mut table).await?;
        proxy::measure(&site, size, &mut table).await?;
        site.stop().await?;
    }
    if wanted(Job::Shop) {
        let site = site::Site::start().await?;
        shop::measure(&site, size, &mut table).await?;
        site.stop().await?;
    }
    if wanted(Job::Agents) {
        let site = site::Site::start().await?;
        agents::measure(&site, size, &mut table).await?;
        site.stop().await?;
    }
    if wanted(Job::Purse) {
        let site = site::Site::start().await?;
        purse::measure(&site, size, &mut table).await?;
        site.stop().await?;
    }
    if wanted(Job::Flood) {
        let site = site::Site::start_with(flood::SETTINGS).await?;
        flood::measure(&site, size, &mut table).await?;
        site.stop().await?;
    }
    if wanted(Job::Cpu) {
        let site = site::Site::start().await?;
        cpu::measure(&site, size, &mut table).await?;
        site.stop().await?;
    }
    if wanted(Job::Reads) || wanted(Job::Start) {
        let site = site::Site::start().await?;
        let ids = start::measure(&site, size, wanted(Job::Start), &mut table).await?;
        if wanted(Job::Reads) {
            reads::measure(&site, size, &ids, &mut table).await?;
        }
        site.stop().await?;
    }
    Ok(table)
}

/// Says on standard error how far the run is.
fn progress(text: &str) {
    eprintln!("bench: {text}");
}
