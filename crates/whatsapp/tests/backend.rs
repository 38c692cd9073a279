//! The client's storage over a vault answers as the client's own store in memory does, whatever is asked in whatever
//! order; and it still does after the device was opened anew.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a test that fails must stop the test"
)]

mod support;

use proptest::prelude::*;
use sessile_core::whatsapp::{Opening, OwnerId, Vault};
use sessile_core::{OsEntropy, SystemClock};
use sessile_whatsapp::{RuntimePace, VaultBackend};
use std::sync::{Arc, LazyLock};
use support::store::TestStore;
use whatsapp_rust::Jid;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::store::traits::{
    AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, DeviceStore, LidPnMappingEntry, MsgSecretEntry,
    PendingInboundKey, PendingInboundRow, ProtocolStore, SignalStore, TcTokenEntry,
};
use whatsapp_rust::wacore::appstate::hash::HashState;
use whatsapp_rust::wacore::appstate::processor::AppStateMutationMAC;
use whatsapp_rust::wacore::store::Device;
use whatsapp_rust::wacore::store::in_memory::InMemoryBackend;
use whatsapp_rust::waproto::whatsapp::ADVSignedDeviceIdentity;

/// One process throughout, so that it gets its device again at once.
static OWNER: LazyLock<OwnerId> = LazyLock::new(|| OwnerId::generate(&OsEntropy).unwrap());

async fn vault(store: &Arc<TestStore>) -> Arc<Vault> {
    let opening = Opening {
        store: Arc::<TestStore>::clone(store),
        keys: support::keys(),
        device: support::device("shop"),
        owner: OWNER.clone(),
        clock: Arc::new(SystemClock),
        pace: Arc::new(RuntimePace::start()),
        entropy: Arc::new(OsEntropy),
    };
    Arc::new(Vault::open(opening).await.expect("the device opens"))
}

/// One call of the client; numbers choose from small sets, so that calls meet.
#[derive(Debug, Clone)]
enum Call {
    PutIdentities(Vec<(u8, u8)>),
    DeleteIdentity(u8),
    PutSessions(Vec<(u8, Vec<u8>)>),
    DeleteSession(u8),
    PutPrekeys(Vec<(u8, u8)>, bool),
    MarkUploaded(Vec<u8>),
    RemovePrekey(u8),
    PutSigned(u8, u8),
    RemoveSigned(u8),
    PutSenderKeys(Vec<(u8, u8)>),
    DeleteSenderKey(u8),
    SetSyncKey(u8, u8),
    SetVersion(u8, u8),
    PutMacs(u8, Vec<(u8, u8)>),
    DeleteMacs(u8, Vec<u8>),
    ClearMacs(u8),
    SenderKeyStatus(u8, Vec<(u8, bool)>),
    ClearSenderKeyDevices(u8),
    DeleteSenderKeyDevices(Vec<u8>),
    ClearAllSenderKeyDevices,
    MapLids(Vec<(u8, bool)>),
    SaveBaseKey(u8, u8),
    DeleteBaseKey(u8),
    UpdateDevices(Vec<(u8, u8)>),
    DeleteDevices(u8),
    PutGroup(u8, u8),
    DeleteGroup(u8),
    PutToken(u8, u8),
    TouchToken(u8, u8),
    ReceiveToken(u8, u8),
    DeleteToken(u8),
    ExpireTokens(u8, u8),
    StoreSent(u8, u8),
    TakeSent(u8),
    ExpireSent(bool),
    StorePending(Vec<(u8, u8)>),
    DeletePending(Vec<u8>),
    ExpirePending(bool),
    PutSecrets(Vec<(u8, u8, u8, u8)>),
    ExpireSecrets(u8),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let n = || 0_u8..5;
    let some = || proptest::collection::vec((n(), any::<u8>()), 0..4);
    let call = prop_oneof![
        some().prop_map(Call::PutIdentities),
        n().prop_map(Call::DeleteIdentity),
        proptest::collection::vec((n(), any::<Vec<u8>>()), 0..4).prop_map(Call::PutSessions),
        n().prop_map(Call::DeleteSession),
        (some(), any::<bool>()).prop_map(|(keys, uploaded)| Call::PutPrekeys(keys, uploaded)),
        proptest::collection::vec(n(), 0..4).prop_map(Call::MarkUploaded),
        n().prop_map(Call::RemovePrekey),
        (n(), any::<u8>()).prop_map(|(a, b)| Call::PutSigned(a, b)),
        n().prop_map(Call::RemoveSigned),
        some().prop_map(Call::PutSenderKeys),
        n().prop_map(Call::DeleteSenderKey),
        (n(), any::<u8>()).prop_map(|(a, b)| Call::SetSyncKey(a, b)),
        (n(), any::<u8>()).prop_map(|(a, b)| Call::SetVersion(a, b)),
        (n(), some()).prop_map(|(a, b)| Call::PutMacs(a, b)),
        (n(), proptest::collection::vec(n(), 0..4)).prop_map(|(a, b)| Call::DeleteMacs(a, b)),
        n().prop_map(Call::ClearMacs),
    ];
    let more = prop_oneof![
        (n(), proptest::collection::vec((n(), any::<bool>()), 0..4))
            .prop_map(|(a, b)| Call::SenderKeyStatus(a, b)),
        n().prop_map(Call::ClearSenderKeyDevices),
        proptest::collection::vec(n(), 0..3).prop_map(Call::DeleteSenderKeyDevices),
        Just(Call::ClearAllSenderKeyDevices),
        proptest::collection::vec((n(), any::<bool>()), 0..5).prop_map(Call::MapLids),
        (n(), any::<u8>()).prop_map(|(a, b)| Call::SaveBaseKey(a, b)),
        n().prop_map(Call::DeleteBaseKey),
        some().prop_map(Call::UpdateDevices),
        n().prop_map(Call::DeleteDevices),
        (n(), any::<u8>()).prop_map(|(a, b)| Call::PutGroup(a, b)),
        n().prop_map(Call::DeleteGroup),
        (n(), n()).prop_map(|(a, b)| Call::PutToken(a, b)),
        (n(), n()).prop_map(|(a, b)| Call::TouchToken(a, b)),
        (n(), n()).prop_map(|(a, b)| Call::ReceiveToken(a, b)),
        n().prop_map(Call::DeleteToken),
        (n(), n()).prop_map(|(a, b)| Call::ExpireTokens(a, b)),
    ];
    let messages = prop_oneof![
        (n(), any::<u8>()).prop_map(|(a, b)| Call::StoreSent(a, b)),
        n().prop_map(Call::TakeSent),
        any::<bool>().prop_map(Call::ExpireSent),
        some().prop_map(Call::StorePending),
        proptest::collection::vec(n(), 0..3).prop_map(Call::DeletePending),
        any::<bool>().prop_map(Call::ExpirePending),
        proptest::collection::vec((n(), any::<u8>(), n(), n()), 0..4).prop_map(Call::PutSecrets),
        n().prop_map(Call::ExpireSecrets),
    ];
    proptest::collection::vec(prop_oneof![call, more, messages], 1..40)
}

fn name(what: &str, n: u8) -> String {
    format!("{what}{n}@s.whatsapp.net")
}

fn bytes(n: u8) -> Bytes {
    Bytes::from(vec![n; 3])
}

/// A time that has passed for every row, or for none.
fn cutoff(is_all: bool) -> i64 {
    if is_all { i64::MAX } else { 0 }
}

fn seconds(n: u8) -> i64 {
    i64::from(n) * 100
}

/// What the call answered, as text.
async fn call(to: &dyn Backend, call: &Call) -> String {
    match call.clone() {
        Call::PutIdentities(all) => {
            let all: Vec<_> = all.iter().map(|(a, k)| (name("u", *a).into(), [*k; 32])).collect();
            done(to.put_identities_batch(&all).await)
        }
        Call::DeleteIdentity(a) => done(to.delete_identity(&name("u", a)).await),
        Call::PutSessions(all) => {
            let all: Vec<_> =
                all.iter().map(|(a, s)| (name("u", *a).into(), Bytes::from(s.clone()))).collect();
            done(to.put_sessions_batch(&all).await)
        }
        Call::DeleteSession(a) => done(to.delete_session(&name("u", a)).await),
        Call::PutPrekeys(all, uploaded) => {
            let all: Vec<_> = all.iter().map(|(id, k)| (u32::from(*id), bytes(*k))).collect();
            done(to.store_prekeys_batch(&all, uploaded).await)
        }
        Call::MarkUploaded(ids) => {
            let ids: Vec<_> = ids.into_iter().map(u32::from).collect();
            done(to.mark_prekeys_uploaded(&ids).await)
        }
        Call::RemovePrekey(id) => done(to.remove_prekey(id.into()).await),
        Call::PutSigned(id, k) => done(to.store_signed_prekey(id.into(), &bytes(k)).await),
        Call::RemoveSigned(id) => done(to.remove_signed_prekey(id.into()).await),
        Call::PutSenderKeys(all) => {
            let all: Vec<_> = all.iter().map(|(a, k)| (name("g", *a).into(), bytes(*k))).collect();
            done(to.put_sender_keys_batch(&all).await)
        }
        Call::DeleteSenderKey(a) => done(to.delete_sender_key(&name("g", a)).await),
        Call::SetSyncKey(id, k) => {
            let key = AppStateSyncKey { key_data: vec![k; 32], fingerprint: vec![k], timestamp: k.into() };
            done(to.set_sync_key(&[id], key).await)
        }
        Call::SetVersion(c, v) => {
            let state = HashState { version: v.into(), hash: [v; 128], ..HashState::default() };
            done(to.set_version(&name("c", c), state).await)
        }
        Call::PutMacs(c, macs) => {
            let mac =
                |(i, v): &(u8, u8)| AppStateMutationMAC { index_mac: vec![*i; 32], value_mac: vec![*v] };
            let macs: Vec<_> = macs.iter().map(mac).collect();
            done(to.put_mutation_macs(&name("c", c), 1, &macs).await)
        }
        Call::DeleteMacs(c, macs) => {
            let macs: Vec<_> = macs.iter().map(|i| vec![*i; 32]).collect();
            done(to.delete_mutation_macs(&name("c", c), &macs).await)
        }
        Call::ClearMacs(c) => done(to.clear_mutation_macs(&name("c", c)).await),
        other => call_protocol(to, other).await,
    }
}

#[expect(clippy::too_many_lines, reason = "one line for each call of the client's trait")]
async fn call_protocol(to: &dyn Backend, call: Call) -> String {
    match call {
        Call::SenderKeyStatus(g, devices) => {
            let devices: Vec<_> = devices.iter().map(|(d, has)| (name("d", *d), *has)).collect();
            let devices: Vec<_> = devices.iter().map(|(d, has)| (d.as_str(), *has)).collect();
            done(to.set_sender_key_status(&name("g", g), &devices).await)
        }
        Call::ClearSenderKeyDevices(g) => done(to.clear_sender_key_devices(&name("g", g)).await),
        Call::DeleteSenderKeyDevices(devices) => {
            let devices: Vec<_> = devices.iter().map(|d| name("d", *d)).collect();
            let devices: Vec<_> = devices.iter().map(String::as_str).collect();
            done(to.delete_sender_key_device_rows(&devices).await)
        }
        Call::ClearAllSenderKeyDevices => done(to.clear_all_sender_key_devices().await),
        Call::MapLids(all) => {
            // Each LID has two numbers of its own: where two LIDs share one, the store in memory forgets too much.
            let entry = |(lid, second): &(u8, bool)| LidPnMappingEntry {
                lid: lid.to_string(),
                phone_number: format!("{lid}{second}"),
                created_at: 1,
                updated_at: 2,
                learning_source: "usync".to_owned(),
            };
            done(to.put_lid_mappings(&all.iter().map(entry).collect::<Vec<_>>()).await)
        }
        Call::SaveBaseKey(m, k) => done(to.save_base_key(&name("u", m), "m", &bytes(k)).await),
        Call::DeleteBaseKey(m) => done(to.delete_base_key(&name("u", m), "m").await),
        Call::UpdateDevices(all) => {
            let record = |(user, d): &(u8, u8)| DeviceListRecord {
                user: user.to_string(),
                devices: vec![DeviceInfo::new((*d).into(), None)],
                timestamp: (*d).into(),
                phash: None,
                raw_id: Some(7),
            };
            done(to.update_device_lists(all.iter().map(record).collect()).await)
        }
        Call::DeleteDevices(user) => done(to.delete_devices(&user.to_string()).await),
        Call::PutGroup(g, b) => done(to.put_group_metadata(&name("g", g), &bytes(b)).await),
        Call::DeleteGroup(g) => done(to.delete_group_metadata(&name("g", g)).await),
        Call::PutToken(j, at) => {
            let sender_timestamp = (at > 2).then_some(seconds(at));
            let entry =
                TcTokenEntry { token: vec![at; at.into()], token_timestamp: seconds(at), sender_timestamp };
            done(to.put_tc_token(&name("t", j), &entry).await)
        }
        Call::TouchToken(j, at) => done(to.touch_tc_token_sender_timestamp(&name("t", j), seconds(at)).await),
        Call::ReceiveToken(j, at) => {
            done(to.store_received_tc_token(&name("t", j), &[at, 9], seconds(at)).await)
        }
        Call::DeleteToken(j) => done(to.delete_tc_token(&name("t", j)).await),
        Call::ExpireTokens(a, b) => done(to.delete_expired_tc_tokens(seconds(a), seconds(b)).await),
        Call::StoreSent(m, b) => done(to.store_sent_message("chat", &m.to_string(), &bytes(b)).await),
        Call::TakeSent(m) => done(to.take_sent_message("chat", &m.to_string()).await),
        Call::ExpireSent(is_all) => done(to.delete_expired_sent_messages(cutoff(is_all)).await),
        Call::StorePending(all) => {
            let all: Vec<_> = all.iter().map(|(m, b)| (m.to_string(), bytes(*b))).collect();
            let row = |(id, message): &'_ (String, Bytes)| (id.clone(), message.clone());
            let all: Vec<_> = all.iter().map(row).collect();
            let rows: Vec<_> = all
                .iter()
                .map(|(id, message)| PendingInboundRow { chat: "c", sender: "s", id, message })
                .collect();
            done(to.store_pending_inbound_batch(&rows).await)
        }
        Call::DeletePending(all) => {
            let all: Vec<_> = all.iter().map(u8::to_string).collect();
            let keys: Vec<_> =
                all.iter().map(|id| PendingInboundKey { chat: "c", sender: "s", id }).collect();
            done(to.delete_pending_inbound_batch(&keys).await)
        }
        Call::ExpirePending(is_all) => done(to.delete_expired_pending_inbound(cutoff(is_all)).await),
        Call::PutSecrets(all) => {
            let entry = |(m, k, expires, at): &(u8, u8, u8, u8)| MsgSecretEntry {
                chat: "c".into(),
                sender: "s".into(),
                msg_id: m.to_string().into(),
                secret: [*k; 32],
                expires_at: seconds(*expires),
                message_ts: seconds(*at),
            };
            done(to.put_msg_secrets(all.iter().map(entry).collect()).await)
        }
        Call::ExpireSecrets(at) => done(to.delete_expired_msg_secrets(seconds(at)).await),
        other => unreachable!("{other:?} is called elsewhere"),
    }
}

fn done<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, E>) -> String {
    format!("{answer:?}")
}

fn sorted<T: std::fmt::Debug>(all: Vec<T>) -> Vec<String> {
    let mut all: Vec<_> = all.iter().map(|each| format!("{each:?}")).collect();
    all.sort();
    all
}

/// Everything that can be read, as text.
async fn everything(of: &dyn Backend) -> Vec<String> {
    let mut all = Vec::new();
    for n in 0..5_u8 {
        let (user, group) = (name("u", n), name("g", n));
        all.push(done(of.load_identity(&user).await));
        all.push(done(of.get_session(&user).await));
        all.push(done(of.has_session(&user).await));
        all.push(done(of.has_signal_state_for_user(&format!("u{n}")).await));
        all.push(done(of.load_prekey(n.into()).await));
        all.push(done(of.load_signed_prekey(n.into()).await));
        all.push(done(of.get_sender_key(&group).await));
        all.push(done(of.get_sync_key(&[n]).await.map(|key| key.map(|key| (key.key_data, key.timestamp)))));
        all.push(done(of.get_version(&name("c", n)).await.map(|state| (state.version, state.hash))));
        let macs = of
            .get_mutation_macs(&name("c", n), &[[0; 32], [1; 32], [2; 32], [3; 32], [4; 32]])
            .await
            .unwrap();
        all.extend(sorted(macs.into_iter().collect()));
        all.extend(sorted(of.get_sender_key_devices(&group).await.unwrap()));
        all.push(done(of.get_lid_mapping(&n.to_string()).await));
        for second in [true, false] {
            all.push(done(of.get_pn_mapping(&format!("{n}{second}")).await));
        }
        all.push(done(of.has_same_base_key(&user, "m", &bytes(n)).await));
        all.push(done(of.get_devices(&n.to_string()).await));
        all.push(done(of.get_group_metadata(&group).await));
        all.push(done(of.get_tc_token(&name("t", n)).await));
        all.push(done(of.get_pending_inbound("c", "s", &n.to_string()).await));
        all.push(done(of.get_msg_secret_with_ts("c", "s", &n.to_string()).await));
    }
    all.push(done(of.get_max_prekey_id().await));
    all.push(done(of.get_latest_sync_key_id().await));
    all.extend(sorted(of.load_all_signed_prekeys().await.unwrap()));
    all.extend(sorted(of.load_prekeys_batch(&[0, 1, 2, 3, 4, 9]).await.unwrap()));
    all.extend(sorted(of.get_all_lid_mappings().await.unwrap()));
    all.extend(sorted(of.get_all_tc_token_jids().await.unwrap()));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_vault_answers_as_the_clients_own_store_does(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::new();
            let (ours, theirs) = (VaultBackend::new(vault(&store).await), InMemoryBackend::new());
            for each in &calls {
                assert_eq!(call(&ours, each).await, call(&theirs, each).await, "{each:?}");
            }
            let read = everything(&ours).await;
            assert_eq!(read, everything(&theirs).await);
            drop(ours);
            let again = VaultBackend::new(vault(&store).await);
            assert_eq!(everything(&again).await, read, "opened anew");
        });
    }
}

#[tokio::test]
async fn a_number_leads_to_the_lid_that_named_it_last_and_no_other_move_hides_that() {
    let backend = VaultBackend::new(vault(&TestStore::new()).await);
    let entry = |lid: &str, number: &str| LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: number.to_owned(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".to_owned(),
    };
    backend.put_lid_mappings(&[entry("a", "1"), entry("b", "1")]).await.unwrap();
    backend.put_lid_mapping(&entry("a", "2")).await.unwrap();
    assert_eq!(backend.get_pn_mapping("1").await.unwrap().unwrap().lid, "b");
    assert_eq!(backend.get_pn_mapping("2").await.unwrap().unwrap().lid, "a");
}

#[tokio::test]
async fn credentials_are_stored_once_the_device_is_paired_and_read_back_whole() {
    let store = TestStore::new();
    let backend = VaultBackend::new(vault(&store).await);
    assert!(!backend.exists().await.unwrap(), "nothing, and that is proven");
    backend.create().await.unwrap();
    assert!(backend.exists().await.unwrap());
    let mut device = backend.load().await.unwrap().expect("a draft");
    backend.save(&device).await.unwrap();
    assert_eq!(store.commits(), 0, "a draft is not stored");

    device.pn = Some(Jid::pn_device("15551234567", 3));
    device.account =
        Some(Arc::new(ADVSignedDeviceIdentity { details: Some(vec![1, 2, 3]), ..Default::default() }));
    device.next_pre_key_id = 813;
    backend.save(&device).await.unwrap();
    assert!(backend.is_paired().unwrap());
    assert!(backend.create().await.is_err(), "a paired device gets no new identity");

    let read = VaultBackend::new(vault(&store).await).load().await.unwrap().expect("credentials");
    assert_eq!(same(&read), same(&device));
}

/// A record as the client describes it to serde.
fn same(device: &Device) -> String {
    whatsapp_rust::serde_json::to_string(device).unwrap()
}

#[tokio::test]
async fn a_fenced_vault_is_an_error_and_never_nothing() {
    let store = TestStore::new();
    let first = vault(&store).await;
    let backend = VaultBackend::new(Arc::clone(&first));
    backend.put_identity("u@s.whatsapp.net", [1; 32]).await.unwrap();
    let _second = vault(&store).await;
    assert!(first.renew().await.is_err(), "the second took it over");
    assert!(backend.exists().await.is_err());
    assert!(backend.load().await.is_err());
    assert!(backend.load_identity("u@s.whatsapp.net").await.is_err());
    assert!(backend.put_identity("v@s.whatsapp.net", [2; 32]).await.is_err());
}

#[tokio::test]
async fn a_first_login_is_one_step() {
    let store = TestStore::new();
    let backend = VaultBackend::new(vault(&store).await);
    let keys: Vec<_> = (1..=812).map(|id| (id, Bytes::from(vec![7; 64]))).collect();
    backend.store_prekeys_batch(&keys, false).await.unwrap();
    assert_eq!(store.commits(), 1);
    assert_eq!(backend.get_max_prekey_id().await.unwrap(), 812);
}
