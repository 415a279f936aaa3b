//! The task that plays what the session says, and reports what was heard of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use realtime_run::audio::devices::{DeviceError, Loudness, Played, Speaker};
use realtime_run::protocol::Id;
use realtime_run::session::{SessionEvent, SessionHandle};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How often the speaker is served, and the session told what was heard.
const STEP: Duration = Duration::from_millis(20);
/// Orders that may wait for the task.
const WAITING: usize = 256;

/// What the speaker is to do.
#[derive(Debug)]
enum Order {
    Play(Id, u32, Bytes),
    /// All sound has come.
    Complete,
    /// The session has cut this part.
    Cut(Id, u32),
    /// The user cuts in.
    BargeIn,
}

/// How the speaker is doing.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    is_sounding: bool,
    underruns: u64,
    dropped: Duration,
}

/// Tells the task what to do. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Mouth {
    orders: mpsc::Sender<Order>,
    state: watch::Sender<State>,
    loudness: Loudness,
}

impl Mouth {
    pub(super) fn start(
        speaker: Speaker,
        session: SessionHandle,
        tasks: &mut JoinSet<Result<(), DeviceError>>,
    ) -> Self {
        let (sender, orders) = mpsc::channel(WAITING);
        let mouth = Self {
            orders: sender,
            state: watch::Sender::default(),
            loudness: speaker.loudness(),
        };
        let state = mouth.state.clone();
        tasks.spawn(run(speaker, orders, session, state));
        mouth
    }

    /// How loud the assistant is.
    pub(super) fn loudness(&self) -> f32 {
        self.loudness.now()
    }

    pub(super) async fn note(&self, event: &SessionEvent) {
        let order = match event {
            SessionEvent::Audio {
                item_id,
                content_index,
                audio,
            } => Order::Play(item_id.clone(), *content_index, audio.clone()),
            SessionEvent::AudioEnd { .. } | SessionEvent::AgentEnd { .. } => Order::Complete,
            SessionEvent::AudioInterrupted {
                item_id,
                content_index,
                ..
            } => Order::Cut(item_id.clone(), *content_index),
            _ => return,
        };
        let sounds = matches!(order, Order::Play(..));
        // If the device is lost, someone else tells.
        if self.orders.send(order).await.is_ok() && sounds {
            self.state.send_modify(|state| state.is_sounding = true);
        }
    }

    /// Falls silent at once, and stops the answer.
    pub(super) async fn barge_in(&self) {
        let _ = self.orders.send(Order::BargeIn).await;
    }

    pub(super) fn is_sounding(&self) -> bool {
        self.state.borrow().is_sounding
    }

    /// Waits until nothing is to be heard any more.
    pub(super) async fn silence(&self) {
        let mut state = self.state.subscribe();
        let silent = state.wait_for(|state| !state.is_sounding);
        tokio::select! {
            _ = silent => {}
            // What is left to play never will be.
            () = self.orders.closed() => {}
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        let State {
            underruns, dropped, ..
        } = *self.state.borrow();
        match (underruns, dropped) {
            (0, Duration::ZERO) => None,
            (1, Duration::ZERO) => {
                Some("the assistant's sound came too late once: a gap was heard".to_owned())
            }
            (_, Duration::ZERO) => Some(format!(
                "the assistant's sound came too late {underruns} times: gaps were heard"
            )),
            _ => Some(format!(
                "{} s of the assistant's sound were too much to keep",
                dropped.as_secs()
            )),
        }
    }
}

async fn run(
    mut speaker: Speaker,
    mut orders: mpsc::Receiver<Order>,
    session: SessionHandle,
    state: watch::Sender<State>,
) -> Result<(), DeviceError> {
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let order = tokio::select! {
            order = orders.recv() => Some(order),
            _ = steps.tick() => None,
        };
        let now = Instant::now();
        let (played, barges_in) = match order {
            Some(None) => return Ok(()),
            None => (speaker.advance(now)?, false),
            Some(Some(Order::BargeIn)) => (speaker.interrupt(now, |_, _| true), true),
            Some(Some(Order::Cut(item, index))) => (
                speaker.interrupt(now, |id, content| *id == item && content == index),
                false,
            ),
            Some(Some(Order::Play(item, index, audio))) => {
                speaker.play(&item, index, &audio);
                continue;
            }
            Some(Some(Order::Complete)) => {
                speaker.complete();
                continue;
            }
        };
        report(played, &session);
        if barges_in {
            // If the session is over, an event tells it.
            let _ = session.interrupt().await;
        }
        state.send_replace(State {
            is_sounding: speaker.is_playing() || !orders.is_empty(),
            underruns: speaker.underruns(),
            dropped: speaker.dropped(),
        });
    }
}

fn report(played: Vec<Played>, session: &SessionHandle) {
    for Played {
        item_id,
        content_index,
        bytes,
    } in played
    {
        session.report_played(&item_id, content_index, bytes);
    }
}
